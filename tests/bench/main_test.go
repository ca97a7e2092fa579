package main

import (
	"testing"
	"time"
)

func TestRatioIsOfPairs(t *testing.T) {
	r := &row{
		plain: []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, time.Second},
		bazel: []time.Duration{2 * time.Second, 3 * time.Second, 5 * time.Second}, // the fourth failed
	}
	if got, want := r.ratio(), "1.50 (1.25 to 2.00)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
