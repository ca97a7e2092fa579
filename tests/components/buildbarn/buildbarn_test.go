package buildbarn_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/certs"
	"kubefips.internal/tests/internal/proc"
	"kubefips.internal/tests/internal/tlsprobe"
)

type object = map[string]any

var anyone = object{"allow": object{}}

func writeConfig(t *testing.T, config object) string {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// listen is the configuration of a gRPC port with TLS.
func listen(t *testing.T, address string) object {
	t.Helper()
	ca := certs.New(t)
	leaf := ca.Leaf(t, "server")
	return object{
		"listenAddresses":      []string{address},
		"authenticationPolicy": anyone,
		"tls": object{"serverKeyPair": object{"files": object{
			"certificatePath": leaf.CertFile,
			"privateKeyPath":  leaf.KeyFile,
			"refreshInterval": "60s",
		}}},
	}
}

func TestTLSPolicy(t *testing.T) {
	scheduler := fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, proc.Runfile(t, os.Getenv("BB_SCHEDULER")), writeConfig(t, object{
		"clientGrpcServers":         []object{listen(t, scheduler)},
		"contentAddressableStorage": object{"grpc": object{"address": "127.0.0.1:1"}},
		"maximumMessageSizeBytes":   1 << 20,
		"executeAuthorizer":         anyone,
		"modifyDrainsAuthorizer":    anyone,
		"killOperationsAuthorizer":  anyone,
		"synchronizeAuthorizer":     anyone,
		"actionRouter": object{"simple": object{
			"platformKeyExtractor":     object{"action": object{}},
			"initialSizeClassAnalyzer": object{"defaultExecutionTimeout": "60s", "maximumExecutionTimeout": "60s"},
		}},
		"platformQueueWithNoWorkersTimeout": "60s",
		"global":                            object{},
	}))
	runner := fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t))
	proc.Start(t, proc.Runfile(t, os.Getenv("BB_RUNNER")), writeConfig(t, object{
		"buildDirectoryPath": t.TempDir(),
		"grpcServers":        []object{listen(t, runner)},
		"global":             object{},
	}))
	for _, address := range []string{scheduler, runner} {
		proc.Eventually(t, 30*time.Second, func() error {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err
		})
		tlsprobe.CheckPolicy(t, address)
	}
}

func TestRefusesWrongConfiguration(t *testing.T) {
	config := writeConfig(t, object{"noSuchSetting": true})
	for _, program := range []string{"BB_RUNNER", "BB_SCHEDULER", "BB_WORKER"} {
		out, err := proc.Output(proc.Runfile(t, os.Getenv(program)), config)
		if err == nil || !strings.Contains(out, "noSuchSetting") {
			t.Errorf("%s: err = %v; it does not say what is wrong:\n%s", program, err, out)
		}
	}
}
