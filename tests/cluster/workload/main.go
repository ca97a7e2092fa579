// Workload is what the pods of the cluster's tests run: a server, and the clients that tests ask things of.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = "usage: workload serve | get URL | lookup NAME | ping ADDRESS | print TEXT"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string, arguments []string) error {
	switch {
	case command == "serve" && len(arguments) == 0:
		return serve()
	case len(arguments) != 1:
		return errors.New(usage)
	}
	argument := arguments[0]
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch command {
	case "get":
		return get(ctx, argument)
	case "lookup":
		return lookup(ctx, argument)
	case "ping":
		return ping(argument)
	case "print":
		fmt.Println(argument)
		return nil
	}
	return errors.New(usage)
}

// serve answers every request with the pod's name and the variable VERSION.
func serve() error {
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	fmt.Println("serving as", hostname)
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM) // which process 1 would ignore
	go func() {
		<-terminated
		os.Exit(0)
	}()
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, hostname, os.Getenv("VERSION")) })
	return http.ListenAndServe(":8080", nil)
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func lookup(ctx context.Context, name string) error {
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		fmt.Println(address)
	}
	return nil
}

// ping sends one echo request (RFC 792) and waits for its reply. It needs CAP_NET_RAW.
func ping(address string) error {
	conn, err := net.Dial("ip4:icmp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	const reply, request = 0, 8
	message := []byte{request, 0, 0, 0, 0, 0, 0, 1}
	binary.BigEndian.PutUint16(message[4:], uint16(os.Getpid()))
	var sum uint32
	for i := 0; i < len(message); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(message[i:]))
	}
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum+sum>>16))
	if _, err := conn.Write(message); err != nil {
		return err
	}
	for buffer := make([]byte, 1500); ; {
		n, _, err := conn.(*net.IPConn).ReadFromIP(buffer) // unlike Read, it leaves the header out
		if err != nil {
			return err
		}
		if n >= len(message) && buffer[0] == reply && string(buffer[4:8]) == string(message[4:8]) {
			fmt.Println("reply from", address)
			return nil
		}
	}
}
