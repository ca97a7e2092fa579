// Command bazelroot runs Bazel on a machine that has none, in a private root
// of Debian packages. tools/bazel calls it; README.md says how it works.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"kubefips.internal/tools/bazelroot/cache"
	"kubefips.internal/tools/bazelroot/debroot"
	"kubefips.internal/tools/bazelroot/enter"
	"kubefips.internal/tools/bazelroot/modules"
	"kubefips.internal/tools/internal/debian"
)

const bazel = "/usr/bin/bazel"

// links are the tree's files that come from the machine, from this call, or
// from maintainer scripts that do not run.
var links = map[string]string{
	"etc/apt":                           enter.HostEtc + "/apt",
	"etc/bazel/bazelrc":                 enter.Private + "/bazelrc",
	"etc/group":                         enter.HostEtc + "/group",
	"etc/hosts":                         enter.HostEtc + "/hosts",
	"etc/mtab":                          "/proc/self/mounts",
	"etc/nsswitch.conf":                 "/usr/share/base-files/nsswitch.conf",
	"etc/passwd":                        enter.HostEtc + "/passwd",
	"etc/resolv.conf":                   enter.HostEtc + "/resolv.conf",
	"etc/ssl/certs/ca-certificates.crt": enter.Private + "/ca-certificates.crt",
	"etc/ssl/certs/java/cacerts":        enter.Private + "/cacerts",
	"usr/bin/awk":                       "gawk",
	"usr/bin/sh":                        "dash",
}

func main() {
	if err := enter.Child(); err != nil {
		fail(err)
	}
	if len(os.Args) < 2 {
		fail(errors.New("usage: bazelroot WORKSPACE [BAZEL'S ARGUMENTS]; tools/bazel calls it"))
	}
	if os.Args[1] == contentsCommand {
		if err := runContents(os.Args[2:]); err != nil {
			fail(err)
		}
		return
	}
	code, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fail(err)
	}
	os.Exit(code)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "tools/bazel:", err)
	os.Exit(1)
}

// run sets up what is missing and runs Bazel; workspace is the source tree
// that this program belongs to.
func run(workspace string, args []string) (int, error) {
	if runtime.GOARCH != "amd64" {
		return 0, fmt.Errorf("Bazel's private root is locked for amd64, this machine is %s; set BAZEL_REAL to a Bazel of the version in .bazelversion", runtime.GOARCH)
	}
	userCache, err := os.UserCacheDir()
	if err != nil {
		return 0, fmt.Errorf("where to keep Bazel's root: %w", err)
	}
	goEnv, err := readGoEnv()
	if err != nil {
		return 0, err
	}
	s := &setup{
		workspace: workspace,
		cache: &cache.Cache{
			Dir:     filepath.Join(userCache, "kubefips"),
			Waiting: func() { say("another call is setting up Bazel's root; waiting for it") },
		},
		goEnv: goEnv,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	rootDir, modulesDir, err := s.ensure(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if interrupted {
		return 0, errors.New("set-up interrupted; the next call goes on where it stopped")
	}
	if err != nil {
		return 0, err
	}
	if err := s.cache.Prune(repoContents); err != nil {
		return 0, fmt.Errorf("removing repositories that nobody has used for long: %w", err)
	}
	spec, err := s.spec(rootDir, modulesDir, args)
	if err != nil {
		return 0, err
	}
	return enter.Run(spec)
}

// setup is what a call needs.
type setup struct {
	workspace string
	cache     *cache.Cache
	goEnv     map[string]string
}

// ensure returns the directories of the root and of the Bazel modules.
func (s *setup) ensure(ctx context.Context) (rootDir, modulesDir string, err error) {
	lockFile := filepath.Join(s.workspace, "toolchains", "debian", "bazel_root"+debian.LockSuffix)
	lock, err := debian.ReadLock(lockFile)
	if err != nil {
		return "", "", err
	}
	root := &debroot.Root{
		Lock:      lock,
		LockFile:  lockFile,
		Links:     links,
		Downloads: filepath.Join(s.cache.Dir, "downloads"),
		Progress:  showProgress(),
	}
	mods := &modules.Modules{Dir: filepath.Join(s.workspace, "third_party", "bazel"), Go: "go"}
	modulesName, err := mods.Name()
	if err != nil {
		return "", "", err
	}

	start := time.Now()
	// The quick part first: what is wrong with it shows at once.
	modulesDir, err = s.cache.Ensure(ctx, modulesName, func(ctx context.Context, dir string) error {
		if p := s.goEnv["GOPROXY"]; p == "" || p == "off" {
			return errors.New("GOPROXY is off: set it to a Go module proxy, in the environment or with go env -w")
		}
		say("fetching rules_go and gazelle, once")
		return mods.Build(ctx, dir)
	})
	if err != nil {
		return "", "", fmt.Errorf("setting up the Bazel modules: %w", err)
	}
	made := false
	rootDir, err = s.cache.Ensure(ctx, root.Name(), func(ctx context.Context, dir string) error {
		mirrors, err := debian.FindMirrors("/etc/apt")
		if err != nil {
			return err
		}
		say("no Bazel on this machine: making a private Debian root for it in %s, once", s.cache.Dir)
		made = true
		if err := root.Build(ctx, mirrors, dir); err != nil {
			return err
		}
		return makeLocale(ctx, dir)
	})
	if err != nil {
		return "", "", fmt.Errorf("setting up Bazel's root: %w", err)
	}
	if made {
		say("set up in %d s", int(time.Since(start).Seconds()))
	}
	return rootDir, modulesDir, nil
}

// spec describes how to run Bazel.
func (s *setup) spec(rootDir, modulesDir string, args []string) (*enter.Spec, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	mountPoint := filepath.Join(s.cache.Dir, "mnt")
	if err := os.MkdirAll(mountPoint, 0o755); err != nil {
		return nil, err
	}
	stands, err := standIns(filepath.Join(s.workspace, "third_party", "bazel"))
	if err != nil {
		return nil, err
	}
	bundle, store, err := certificates()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	rc := bazelrc(program, s.cache.Dir, filepath.Base(rootDir), sandboxBase("/dev/shm"), debianModules, stands, modules.Overrides(modulesDir))
	visible := []string{s.workspace, dir, s.cache.Dir}
	for _, d := range []string{os.Getenv("HOME"), s.goEnv["GOMODCACHE"]} {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			visible = append(visible, d)
		}
	}
	return &enter.Spec{
		Root:       rootDir,
		MountPoint: mountPoint,
		Files:      map[string][]byte{"bazelrc": rc, "ca-certificates.crt": bundle, "cacerts": store},
		Dirs:       visible,
		Check:      []string{"/usr/share/bazel/linux-sandbox", "-N", "--", "/bin/true"},
		Path:       bazel,
		Args:       append([]string{"bazel"}, args...),
		Env:        s.environment(),
		Dir:        dir,
	}, nil
}

// environment is the caller's, with what the root needs to be another.
func (s *setup) environment() []string {
	set := map[string]string{
		// tools/bazel called again inside runs Bazel at once.
		"BAZEL_REAL": bazel,
		"GOMODCACHE": s.goEnv["GOMODCACHE"],
		"GOPROXY":    s.goEnv["GOPROXY"],
		"LC_ALL":     locale,
		"PATH":       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	if m, err := debian.FindMirrors("/etc/apt"); err == nil {
		set[debian.MirrorEnv] = m.String()
	}
	// The machine's Java and libraries do not fit the root's programs.
	dropped := []string{"JAVA_HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if _, ok := set[name]; !ok && !slices.Contains(dropped, name) {
			env = append(env, kv)
		}
	}
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// readGoEnv asks the go command where modules come from and are kept.
func readGoEnv() (map[string]string, error) {
	out, err := exec.Command("go", "env", "-json", "GOPROXY", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	return env, nil
}
