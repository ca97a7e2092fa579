package namespaces_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"kubefips.internal/tests/internal/namespaces"
	"kubefips.internal/tests/internal/proc"
)

// sleeper is set in the environment of a program that a test starts.
const sleeper = "KUBEFIPS_TEST_SLEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(sleeper) != "" {
		time.Sleep(time.Minute)
		return
	}
	namespaces.Main(m)
}

// A program is killed with the thread that started it, and a network takes any thread: also one that had started the servers of an outer test.
func TestProgramsOutliveNetwork(t *testing.T) {
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), sleeper+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var network *namespaces.Network
	t.Run("inner", func(t *testing.T) {
		network = namespaces.NewNetwork(t)
		if err := network.Do(cmd.Start); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	proc.Eventually(t, 30*time.Second, func() error {
		if now, err := os.Readlink(network.Path); err == nil && now != home {
			return errors.New("the network's thread has not left it")
		}
		return nil
	})
	time.Sleep(200 * time.Millisecond) // for a signal to arrive
	if ended, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil); err != nil || ended != 0 {
		t.Errorf("the program has ended with the network (%v)", err)
	}
}
