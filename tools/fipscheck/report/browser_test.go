//go:build browser

package report_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/report"
)

// probe loads the page in a frame of some width and writes what it finds into
// its own document, which the browser dumps.
const probe = `<!doctype html><body><iframe id=f src="page.html" style="width:%dpx;height:900px"></iframe><pre id=out></pre><script>
f.onload = () => {
  const d = f.contentDocument, w = d.documentElement;
  const rows = () => [...d.querySelectorAll(".matrix tbody tr")].filter(r => !r.hidden).length;
  const all = rows();
  d.getElementById("inner").click();
  const inner = rows();
  d.getElementById("inner").click();
  d.getElementById("bad").click();
  const bad = rows();
  d.getElementById("bad").click();
  d.getElementById("filter").value = "good";
  d.getElementById("filter").dispatchEvent(new Event("input"));
  const filtered = rows();
  for (const e of d.querySelectorAll("details")) e.open = true;
  f.contentWindow.location.hash = "B03";
  out.textContent = "overflow=" + (w.scrollWidth - w.clientWidth) + " all=" + all + " inner=" + inner + " bad=" + bad + " filtered=" + filtered
    + " sticky=" + getComputedStyle(d.querySelector(".matrix tbody th")).position + " verdict=" + d.getElementById("verdict").textContent;
};
</script>`

// The page fits and works at desktop and phone width. FIPSCHECK_CHROMIUM names
// the browser (default: chromium).
func TestPageInABrowser(t *testing.T) {
	browser := os.Getenv("FIPSCHECK_CHROMIUM")
	if browser == "" {
		browser = "chromium"
	}
	r := &report.Report{Tool: report.Tool{Name: "fipscheck"}, Date: "2026-11-22"}
	long := "images/with-a-rather-long-name:/usr/lib/x86_64-linux-gnu/a-program-with-a-long-name"
	for i := range 75 {
		f := checks.Finding{Check: "B17", Severity: checks.High, Status: checks.Excepted, Subject: "golang.org/x/crypto/chacha20poly1305", Message: "linked (x)",
			Exception: &checks.Exception{Check: "B17", Owner: "maintainers", Reason: strings.Repeat("word ", 40), Expires: "2027-01-01"}}
		name := fmt.Sprintf("good/%d", i)
		if i%5 == 0 {
			f.Status, f.Exception, name = checks.Fail, nil, fmt.Sprintf("%s-%d", long, i)
		}
		r.Artifacts = append(r.Artifacts, report.Artifact{Name: name, Kind: report.Binary, Digest: "sha256:" + strings.Repeat("0", 64), Findings: []checks.Finding{f}})
	}
	for i := range 10 {
		r.Artifacts = append(r.Artifacts, report.Artifact{Name: fmt.Sprintf("images/x:/lib/%d.so", i), Kind: report.Binary, Parent: "images/x", Digest: fmt.Sprint(i)})
	}
	again := r.Artifacts[1]
	again.Parent = "images/x"
	r.Artifacts = append(r.Artifacts, again)
	r.Judge()
	for _, width := range []int{1400, 390} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			dir := t.TempDir()
			page, err := os.Create(filepath.Join(dir, "page.html"))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.HTML(page); err != nil {
				t.Fatal(err)
			}
			if err := page.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "probe.html"), fmt.Appendf(nil, probe, width), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
				"--disable-component-update", "--disable-sync", "--allow-file-access-from-files", "--user-data-dir="+filepath.Join(dir, "profile"),
				"--virtual-time-budget=5000", "--dump-dom", "file://"+filepath.Join(dir, "probe.html"))
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", browser, err)
			}
			if want := "overflow=0 all=75 inner=86 bad=15 filtered=61 sticky=sticky verdict=fail"; !strings.Contains(string(out), want) {
				t.Errorf("want %s in\n%s", want, out)
			}
		})
	}
}
