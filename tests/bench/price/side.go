package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// A side has its programs, and their figures in the order in which they were taken first.
type side struct {
	name            string
	etcd, apiserver string
	figures         []*figure
}

type figure struct {
	name   string
	values []float64
}

func (s *side) add(name string, value float64) {
	for _, f := range s.figures {
		if f.name == name {
			f.values = append(f.values, value)
			return
		}
	}
	s.figures = append(s.figures, &figure{name, []float64{value}})
}

// measure takes each figure once, of an etcd with an empty data directory, and of an apiserver on it.
func (s *side) measure(ctx context.Context, dir string, each time.Duration) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := newCredentials(dir)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, s.etcd, dir, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, etcd.stop()) }()
	if err := s.measureEtcd(ctx, etcd, each); err != nil {
		return err
	}
	apiserver, err := startApiserver(ctx, s.apiserver, c, etcd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, apiserver.stop()) }()
	return s.measureApiserver(ctx, apiserver, each)
}

// addMemory takes a server's memory at rest: after its own start.
func (s *side) addMemory(ctx context.Context, name string, server *server) error {
	select {
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	resident, err := server.resident()
	if err != nil {
		return err
	}
	s.add(name+": memory at rest (RSS), MB", resident)
	return nil
}

// A work is what a client does again and again.
type work func(context.Context) error

// addRate takes how often a second a server does a work, which it returns, and the CPU time that each costs the server.
func (s *side) addRate(ctx context.Context, name string, server *server, each time.Duration, newWork func() work) (float64, error) {
	rate, cpu, err := server.rate(ctx, each, newWork)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	s.add(name+", per second", rate)
	s.add(name+", µs of its CPU", cpu)
	return rate, nil
}
