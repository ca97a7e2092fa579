package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestSlowly(t *testing.T) {
	const delay = 50 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	defer server.Close()
	proxy := slowly(server.Listener.Addr().String(), delay)
	defer proxy.Close()
	start := time.Now()
	answer, err := http.Get(proxy.URL + "/cas/1")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if took := time.Since(start); err != nil || string(body) != "/cas/1" || took < delay {
		t.Errorf("%q after %v, %v; want the server's answer, %v late", body, took, err, delay)
	}
}
