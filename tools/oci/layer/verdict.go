package layer

import (
	"encoding/json"
	"fmt"
	"os"

	"kubefips.internal/tools/fipscheck/report"
)

// checkVerdict fails unless the verdict is about the very bytes that went into the layer, and good.
func checkVerdict(entry Entry, digest string) error {
	data, err := os.ReadFile(entry.Verdict)
	if err != nil {
		return err
	}
	var verdict report.Report
	if err := json.Unmarshal(data, &verdict); err != nil {
		return fmt.Errorf("verdict %s: %w", entry.Verdict, err)
	}
	if verdict.Schema != report.Schema {
		return fmt.Errorf("verdict %s has schema %q, this program reads %q", entry.Verdict, verdict.Schema, report.Schema)
	}
	if len(verdict.Artifacts) != 1 || verdict.Artifacts[0].Digest != digest {
		return fmt.Errorf("verdict %s is not about %s, whose digest is %s: build both from the same target", entry.Verdict, entry.Source, digest)
	}
	if verdict.Verdict != report.Passed {
		return fmt.Errorf("fipscheck refused %s: see %s", entry.Source, entry.Verdict)
	}
	return nil
}
