package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPlot(t *testing.T) {
	r := &setResult{
		components: []setRow{{component: "one", plain: time.Minute}, {component: "two", plain: 3 * time.Minute}},
		bazel:      2 * time.Minute,
	}
	var s strings.Builder
	if err := r.plot(&s); err != nil {
		t.Fatal(err)
	}
	var widths []float64
	for decoder := xml.NewDecoder(strings.NewReader(s.String())); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, s.String())
		}
		element, ok := token.(xml.StartElement)
		if !ok || element.Name.Local != "rect" {
			continue
		}
		for _, a := range element.Attr {
			if a.Name.Local == "width" {
				w, err := strconv.ParseFloat(a.Value, 64)
				if err != nil {
					t.Fatalf("%v in\n%s", err, s.String())
				}
				widths = append(widths, w)
			}
		}
	}
	// What is behind all; go build's two, the longer of which takes three times as long; Bazel's, half of both.
	if len(widths) != 4 || widths[2] != 3*widths[1] || 2*widths[3] != widths[1]+widths[2] {
		t.Errorf("bars of %v in\n%s", widths, s.String())
	}
}
