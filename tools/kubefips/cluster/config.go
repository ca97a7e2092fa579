package cluster

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kubefips.internal/tools/pki"
)

// The nodes' names.
const (
	ControlPlane = "control-plane"
	Worker       = "worker"
	Worker2      = "worker-2" // where etcd has three members
)

var addresses = map[string]string{ControlPlane: "10.89.0.2", Worker: "10.89.0.3", Worker2: "10.89.0.4"}

// Networks of pods and services, and the addresses in the latter that have a meaning.
const (
	podCIDR        = "10.244.0.0/16"
	serviceCIDR    = "10.96.0.0/16"
	serviceAddress = "10.96.0.1"
	DNSAddress     = "10.96.0.10"
	Apiserver      = "10.89.0.2:6443"
)

type object = map[string]any

// WriteKubeconfig writes an administrator's kubeconfig for clients that reach the apiserver at another address.
func (c *Cluster) WriteKubeconfig(file, server string) error {
	return write(file, kubeconfig(server, c.ca.CertFile, c.admin.CertFile, c.admin.KeyFile))
}

// The folders of configuration on a node, all below /etc.
const (
	kubernetesDir = "/etc/kubernetes"
	certificates  = kubernetesDir + "/pki"
)

// configure writes what the nodes find below /etc, and the administrator's kubeconfig.
func (c *Cluster) configure() error {
	authorities := map[string]*pki.CA{}
	for _, name := range []string{"kubernetes", "etcd", "front-proxy"} {
		dir := filepath.Join(c.dir, "pki", name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		ca, err := pki.NewCA(dir)
		if err != nil {
			return err
		}
		authorities[name] = ca
	}
	c.ca = authorities["kubernetes"]
	control := filepath.Join(c.dir, ControlPlane)
	for _, leaf := range []struct {
		ca, file, user, group string
		names                 []string
	}{
		{"etcd", "client", "apiserver", "", nil},
		{"front-proxy", "client", "front-proxy-client", "", nil},
		{"kubernetes", "apiserver", "kube-apiserver", "", []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", serviceAddress, addresses[ControlPlane]}},
		{"kubernetes", "kubelet-client", "kube-apiserver-kubelet-client", "system:masters", nil},
		{"kubernetes", "service-accounts", "service-accounts", "", nil},
		{"kubernetes", "controller-manager", "system:kube-controller-manager", "", nil},
		{"kubernetes", "scheduler", "system:kube-scheduler", "", nil},
	} {
		key := pki.P256
		if leaf.file == "apiserver" {
			key = pki.RSA3072 // so that servers with both kinds of key are in use
		}
		if err := issue(authorities[leaf.ca], key, leaf.file, leaf.user, leaf.group, filepath.Join(control, certificates, leaf.ca), leaf.names...); err != nil {
			return err
		}
	}
	for _, name := range []string{"controller-manager", "scheduler"} {
		dir := filepath.Join(certificates, "kubernetes")
		if err := write(filepath.Join(control, kubernetesDir, name+".kubeconfig"), kubeconfig("https://"+Apiserver, filepath.Join(dir, "ca.crt"), filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))); err != nil {
			return err
		}
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	if err := write(filepath.Join(control, kubernetesDir, "encryption/config.json"), marshal(object{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration",
		"resources": []any{object{"resources": []string{"secrets"}, "providers": []any{
			object{"aesgcm": object{"keys": []any{object{"name": "key1", "secret": base64.StdEncoding.EncodeToString(key)}}}},
		}}},
	})); err != nil {
		return err
	}
	for _, name := range c.Nodes() {
		if err := c.configureNode(name); err != nil {
			return fmt.Errorf("configuring node %s: %w", name, err)
		}
	}
	for _, name := range c.members() {
		root := filepath.Join(c.dir, name)
		if err := issue(authorities["etcd"], pki.P256, "server", "etcd", "", filepath.Join(root, certificates, "etcd"), addresses[name]); err != nil {
			return err
		}
		if err := write(filepath.Join(root, kubernetesDir, "manifests/etcd.json"), marshal(c.etcdPod(name))); err != nil {
			return err
		}
	}
	for name, pod := range c.controlPlanePods() {
		if err := write(filepath.Join(control, kubernetesDir, "manifests", name+".json"), marshal(pod)); err != nil {
			return err
		}
	}
	var err error
	if c.admin, err = c.ca.Issue("admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}); err != nil {
		return err
	}
	return c.WriteKubeconfig(c.Kubeconfig(), "https://"+Apiserver)
}

func (c *Cluster) configureNode(name string) error {
	root := filepath.Join(c.dir, name)
	dir := filepath.Join(certificates, "kubernetes")
	for file, user := range map[string]pkix.Name{
		"kubelet":    {CommonName: "system:node:" + name, Organization: []string{"system:nodes"}},
		"kube-proxy": {CommonName: "system:kube-proxy"},
	} {
		group := strings.Join(user.Organization, "")
		if err := issue(c.ca, pki.P256, file, user.CommonName, group, filepath.Join(root, dir), name, addresses[name]); err != nil {
			return err
		}
		if err := write(filepath.Join(root, kubernetesDir, file+".kubeconfig"), kubeconfig("https://"+Apiserver, filepath.Join(dir, "ca.crt"), filepath.Join(dir, file+".crt"), filepath.Join(dir, file+".key"))); err != nil {
			return err
		}
	}
	ca, err := os.ReadFile(c.ca.CertFile)
	if err != nil {
		return err
	}
	hosts := "127.0.0.1 localhost\n" + RackAddress + " " + registryHost + "\n"
	for _, node := range c.Nodes() {
		hosts += addresses[node] + " " + node + "\n"
	}
	files := map[string]string{
		"etc/hosts": hosts,
		// Nobody answers there: the cluster knows no names but its own.
		"etc/resolv.conf":   "nameserver " + RackAddress + "\n",
		"etc/nsswitch.conf": "hosts: files dns\n",
		"etc/passwd":        "root:x:0:0:root:/:/bin/sh\n",
		"etc/group":         "root:x:0:\n",
		"etc/containerd/certs.d/" + Registry + "/ca.crt":     string(ca),
		"etc/containerd/certs.d/" + Registry + "/hosts.toml": fmt.Sprintf("server = \"https://%[1]s\"\n[host.\"https://%[1]s\"]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"/etc/containerd/certs.d/%[1]s/ca.crt\"\n", Registry),
		"etc/containerd/config.toml":                         fmt.Sprintf(containerdConfig, c.references["pause"]),
		"etc/kubernetes/kubelet.json":                        marshal(kubeletConfig),
		"etc/kubernetes/kube-proxy/config.json":              marshal(proxyConfig),
		"etc/kubernetes/manifests/kube-proxy.json":           marshal(c.proxyPod()),
	}
	if c.Mirror.URL != "" {
		authority, err := os.ReadFile(c.Mirror.AuthorityFile)
		if err != nil {
			return fmt.Errorf("mirror %s: %w", c.Mirror.URL, err)
		}
		const dir = "etc/containerd/certs.d/_default/"
		files[dir+"ca.crt"] = string(authority)
		files[dir+"hosts.toml"] = fmt.Sprintf("[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\nca = %q\n", c.Mirror.URL, "/"+dir+"ca.crt")
	}
	for file, content := range files {
		if err := write(filepath.Join(root, file), content); err != nil {
			return err
		}
	}
	return nil
}

// issue makes a certificate and puts it and its authority where a node finds them.
func issue(ca *pki.CA, key pki.Key, file, user, group, dir string, names ...string) error {
	subject := pkix.Name{CommonName: user}
	if group != "" {
		subject.Organization = []string{group}
	}
	leaf, err := ca.IssueKey(key, file, subject, names...)
	if err != nil {
		return err
	}
	for source, target := range map[string]string{ca.CertFile: "ca.crt", leaf.CertFile: file + ".crt", leaf.KeyFile: file + ".key"} {
		content, err := os.ReadFile(source)
		if err := errors.Join(err, write(filepath.Join(dir, target), string(content))); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfig(server, ca, certificate, key string) string {
	return marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "kubefips",
		"clusters": []any{object{"name": "kubefips", "cluster": object{"server": server, "certificate-authority": ca}}},
		"users":    []any{object{"name": "kubefips", "user": object{"client-certificate": certificate, "client-key": key}}},
		"contexts": []any{object{"name": "kubefips", "context": object{"cluster": "kubefips", "user": "kubefips"}}},
	})
}

// containerd may not lower OOM scores on a machine without CAP_SYS_RESOURCE.
const containerdConfig = `version = 4
root = "/var/lib/containerd"
state = "/run/containerd"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = %q

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "/etc/containerd/certs.d"

[plugins.'io.containerd.cri.v1.runtime']
disable_apparmor = true
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/opt/cni/bin"]
conf_dir = "/etc/cni/net.d"
`

var kubeletConfig = object{
	"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
	"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
	"staticPodPath":            kubernetesDir + "/manifests",
	"authentication": object{
		"anonymous": object{"enabled": false},
		"webhook":   object{"enabled": true},
		"x509":      object{"clientCAFile": certificates + "/kubernetes/ca.crt"},
	},
	"authorization":          object{"mode": "Webhook"},
	"tlsCertFile":            certificates + "/kubernetes/kubelet.crt",
	"tlsPrivateKeyFile":      certificates + "/kubernetes/kubelet.key",
	"clusterDNS":             []string{DNSAddress},
	"clusterDomain":          "cluster.local",
	"resolvConf":             "/etc/resolv.conf",
	"cgroupDriver":           "cgroupfs",
	"failCgroupV1":           false,
	"failSwapOn":             false,
	"makeIPTablesUtilChains": false,
	"serializeImagePulls":    false,
	"syncFrequency":          "10s",
	// A container that ended stays down no longer than a service of the node does.
	"crashLoopBackOff": object{"maxContainerRestartPeriod": restartAfter.String()},
	// The disk is the machine's, whose owner may fill it.
	"evictionHard":                object{"memory.available": "100Mi", "nodefs.available": "200Mi", "imagefs.available": "200Mi", "nodefs.inodesFree": "1%"},
	"imageGCHighThresholdPercent": 100,
}

var proxyConfig = object{
	"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
	"mode":             "nftables",
	"clusterCIDR":      podCIDR,
	"clientConnection": object{"kubeconfig": kubernetesDir + "/kube-proxy.kubeconfig"},
	// These belong to the machine, not to a network namespace.
	"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
}

// staticPod is a pod of the host's network with one container, whose paths are mounted as on the host.
func (c *Cluster) staticPod(image string, command []string, probe object, paths ...string) object {
	var volumes, mounts []any
	for i, path := range paths {
		name := fmt.Sprintf("path-%d", i)
		volumes = append(volumes, object{"name": name, "hostPath": object{"path": path, "type": "DirectoryOrCreate"}})
		mounts = append(mounts, object{"name": name, "mountPath": path, "readOnly": strings.HasPrefix(path, "/etc/")})
	}
	name := filepath.Base(command[0])
	container := object{"name": name, "image": c.references[image], "command": command, "volumeMounts": mounts}
	if probe != nil {
		container["readinessProbe"] = object{"httpGet": probe, "periodSeconds": 1, "failureThreshold": 3, "timeoutSeconds": 5}
		container["livenessProbe"] = object{"httpGet": probe, "initialDelaySeconds": 30, "periodSeconds": 10, "failureThreshold": 8, "timeoutSeconds": 15}
	}
	return object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": name, "namespace": "kube-system", "labels": object{"component": name, "tier": "control-plane"}},
		"spec": object{
			"hostNetwork": true, "priorityClassName": "system-node-critical",
			"securityContext": object{"seccompProfile": object{"type": "RuntimeDefault"}},
			"containers":      []any{container}, "volumes": volumes,
		},
	}
}

func (c *Cluster) proxyPod() object {
	pod := c.staticPod("kube-proxy", []string{"/usr/local/bin/kube-proxy", "--config=" + kubernetesDir + "/kube-proxy/config.json"},
		nil, kubernetesDir)
	container := pod["spec"].(object)["containers"].([]any)[0].(object)
	container["command"] = append(container["command"].([]string), "--hostname-override=$(NODE)")
	container["env"] = []any{object{"name": "NODE", "valueFrom": object{"fieldRef": object{"fieldPath": "spec.nodeName"}}}}
	container["securityContext"] = object{"privileged": true} // it writes the rules of the node
	return pod
}

// members returns the nodes that run a member of etcd.
func (c *Cluster) members() []string {
	if c.EtcdMembers == 1 {
		return []string{ControlPlane}
	}
	return c.Nodes()
}

func clientURL(member string) string { return "https://" + addresses[member] + ":2379" }
func peerURL(member string) string   { return "https://" + addresses[member] + ":2380" }

// etcdPod is the member of a node, which answers etcdctl in the pod, too.
func (c *Cluster) etcdPod(node string) object {
	const etcd = certificates + "/etcd"
	var initial []string
	for _, member := range c.members() {
		initial = append(initial, member+"="+peerURL(member))
	}
	return c.staticPod("etcd", []string{"/usr/local/bin/etcd", "--name=" + node, "--data-dir=/var/lib/etcd",
		"--listen-client-urls=https://127.0.0.1:2379," + clientURL(node), "--advertise-client-urls=" + clientURL(node),
		"--listen-peer-urls=" + peerURL(node), "--initial-advertise-peer-urls=" + peerURL(node),
		"--initial-cluster=" + strings.Join(initial, ","), "--initial-cluster-state=new",
		"--listen-metrics-urls=http://127.0.0.1:2381",
		"--client-cert-auth", "--trusted-ca-file=" + etcd + "/ca.crt", "--cert-file=" + etcd + "/server.crt", "--key-file=" + etcd + "/server.key",
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + etcd + "/ca.crt", "--peer-cert-file=" + etcd + "/server.crt", "--peer-key-file=" + etcd + "/server.key",
	}, probe("HTTP", "/readyz", 2381), certificates, "/var/lib/etcd")
}

// probe asks a pod of the host's network whether it works.
func probe(scheme, path string, port int) object {
	return object{"scheme": scheme, "host": "127.0.0.1", "path": path, "port": port}
}

func (c *Cluster) controlPlanePods() map[string]object {
	const (
		kubernetes = certificates + "/kubernetes"
		etcd       = certificates + "/etcd"
		frontProxy = certificates + "/front-proxy"
	)
	var etcdServers []string
	for _, member := range c.members() {
		etcdServers = append(etcdServers, clientURL(member))
	}
	component := func(name string, arguments ...string) []string {
		config := kubernetesDir + "/" + strings.TrimPrefix(name, "kube-") + ".kubeconfig"
		certificate := kubernetes + "/" + strings.TrimPrefix(name, "kube-")
		return append([]string{"/usr/local/bin/" + name, "--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
			"--bind-address=127.0.0.1", "--tls-cert-file=" + certificate + ".crt", "--tls-private-key-file=" + certificate + ".key",
			"--leader-elect=false", "--profiling=false"}, arguments...) // there is one of each
	}
	return map[string]object{
		"kube-apiserver": c.staticPod("kube-apiserver", []string{"/usr/local/bin/kube-apiserver",
			"--etcd-servers=" + strings.Join(etcdServers, ","), "--etcd-cafile=" + etcd + "/ca.crt", "--etcd-certfile=" + etcd + "/client.crt", "--etcd-keyfile=" + etcd + "/client.key",
			"--advertise-address=" + addresses[ControlPlane], "--secure-port=6443", "--service-cluster-ip-range=" + serviceCIDR,
			"--tls-cert-file=" + kubernetes + "/apiserver.crt", "--tls-private-key-file=" + kubernetes + "/apiserver.key", "--client-ca-file=" + kubernetes + "/ca.crt",
			"--kubelet-certificate-authority=" + kubernetes + "/ca.crt", "--kubelet-client-certificate=" + kubernetes + "/kubelet-client.crt", "--kubelet-client-key=" + kubernetes + "/kubelet-client.key",
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + frontProxy + "/ca.crt", "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + frontProxy + "/client.crt", "--proxy-client-key-file=" + frontProxy + "/client.key",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-account-key-file=" + kubernetes + "/service-accounts.crt",
			"--service-account-signing-key-file=" + kubernetes + "/service-accounts.key",
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged", "--profiling=false",
			"--encryption-provider-config=" + kubernetesDir + "/encryption/config.json",
		}, probe("HTTPS", "/readyz", 6443), kubernetesDir),
		"kube-controller-manager": c.staticPod("kube-controller-manager", component("kube-controller-manager",
			"--allocate-node-cidrs", "--cluster-cidr="+podCIDR, "--service-cluster-ip-range="+serviceCIDR, "--use-service-account-credentials",
			"--root-ca-file="+kubernetes+"/ca.crt", "--service-account-private-key-file="+kubernetes+"/service-accounts.key",
		), probe("HTTPS", "/healthz", 10257), kubernetesDir),
		"kube-scheduler": c.staticPod("kube-scheduler", component("kube-scheduler"), probe("HTTPS", "/healthz", 10259), kubernetesDir),
	}
}
