// Package imagechecks decides O1 to O9: what an image, a folder or a manifest
// has to be, beside the programs in it.
package imagechecks

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"kubefips.internal/tools/fipscheck/checks"
	"kubefips.internal/tools/fipscheck/content"
	"kubefips.internal/tools/fipscheck/image"
	"kubefips.internal/tools/fipscheck/measure"
)

// Inner is a judged ELF file of an image, as far as the image's checks need it.
type Inner struct {
	Path   string
	Binary *measure.Binary
	// Failed says whether the file's own findings fail it.
	Failed bool
	// Verified is the name under which a build-time verdict covers these
	// bytes; empty when none does.
	Verified string
}

// Image judges one image for one platform by O1 to O9. withVerdicts says
// whether build-time verdicts were given at all.
func Image(m *image.Manifest, inner []Inner, withVerdicts bool) []checks.Finding {
	var l list
	l.walked(m, inner)
	if m.Config != nil {
		l.env("config", m.Config.Config.Env)
		l.argv("config", slices.Concat(m.Config.Config.Entrypoint, m.Config.Config.Cmd))
	}
	l.names(files(m))
	l.digests(m)
	l.labels(m, inner)
	l.Add("O8", checks.Skipped, "", "an image")
	l.same(inner, withVerdicts)
	return l.sorted()
}

// Tree judges the files of a folder: O1, O4, O6 and O9.
func Tree(entries []content.Entry, inner []Inner, withVerdicts bool) []checks.Finding {
	var l list
	l.entries(entries)
	l.inner(inner, len(entries))
	l.names(entries)
	l.same(inner, withVerdicts)
	return l.sorted()
}

type list struct{ checks.Findings }

func (l list) sorted() []checks.Finding {
	slices.SortStableFunc(l.Findings, func(a, b checks.Finding) int { return strings.Compare(a.Check, b.Check) })
	return l.Findings
}

func files(m *image.Manifest) []content.Entry {
	var all []content.Entry
	for _, layer := range m.Layers {
		for _, f := range layer.Files {
			all = append(all, f.Entry)
		}
	}
	return all
}

func (l *list) walked(m *image.Manifest, inner []Inner) {
	for _, p := range m.Problems {
		if p.Check == "O1" {
			l.Add("O1", checks.Fail, p.Subject, "%s", p.Message)
		}
	}
	all := files(m)
	l.entries(all)
	l.inner(inner, len(all))
}

// entries reports the files that could not be judged.
func (l *list) entries(all []content.Entry) {
	for _, e := range all {
		switch {
		case e.Problem != "":
			l.Add("O1", checks.Fail, e.Path, "%s: %s", e.Path, e.Problem)
		case e.Unopened != "":
			l.Add("O1", checks.Warn, e.Path, "%s: %s, not opened: it may carry programs", e.Path, e.Unopened)
			l.Findings[len(l.Findings)-1].Severity = checks.Med
		}
	}
}

func (l *list) inner(inner []Inner, walked int) {
	bad := 0
	for _, in := range inner {
		if in.Failed {
			bad++
			l.Add("O1", checks.Fail, in.Path, "%s was refused, see its own findings", in.Path)
		}
	}
	if !slices.ContainsFunc(l.Findings, func(f checks.Finding) bool { return f.Check == "O1" && f.Status == checks.Fail }) {
		l.Add("O1", checks.Pass, "", "%d files walked, %d of them ELF, all passed", walked, len(inner))
	}
}

// changesMode are GODEBUG settings that switch the module or loosen TLS and
// certificate checks below the policy.
var changesMode = regexp.MustCompile(`^(fips140|tls.*|x509.*|rsa1024min|cryptocustomrand)$`)

// modeVariables switch cryptographic libraries, or preload code.
var modeVariables = []string{"GOFIPS140", "GOLANG_FIPS", "GOEXPERIMENT", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_FIPS", "OPENSSL_FORCE_FIPS_MODE", "LD_PRELOAD", "LD_LIBRARY_PATH"}

func (l *list) env(where string, env []string) {
	bad := false
	for _, kv := range env {
		if msg := envProblem(kv); msg != "" {
			bad = true
			name, _, _ := strings.Cut(kv, "=")
			l.Add("O2", checks.Fail, name, "%s: %s", where, msg)
		}
	}
	if !bad {
		l.Add("O2", checks.Pass, "", "%d variables, none changes the mode", len(env))
	}
}

func envProblem(kv string) string {
	name, value, _ := strings.Cut(kv, "=")
	switch {
	case name == "GODEBUG":
		for _, s := range strings.Split(value, ",") {
			if k, _, _ := strings.Cut(strings.TrimSpace(s), "="); changesMode.MatchString(k) {
				return "GODEBUG=" + s + " changes the module or the TLS policy"
			}
		}
	case slices.Contains(modeVariables, name):
		return kv + " changes which code does the cryptography"
	}
	return ""
}

// weak are arguments that weaken TLS or encryption at rest.
var weak = []struct {
	re  *regexp.Regexp
	why string
}{
	{regexp.MustCompile(`(?i)^--?(tls-)?(minimum-tls-version|tls-min-version|min-tls-version)[= ]"?(VersionTLS1[01]|(TLS)?1\.[01])\b`), "allows TLS below 1.2"},
	{regexp.MustCompile(`(?i)^--?[a-z-]*cipher-?suites[= ].*(CHACHA20|RC4|3DES|_CBC_|TLS_RSA_WITH)`), "names a cipher suite outside the policy"},
	{regexp.MustCompile(`(?i)^--?[a-z-]*curve[a-z-]*[= ].*(X25519|MLKEM)`), "names a key exchange outside the policy"},
	{regexp.MustCompile(`(?i)^--?[a-z-]*(insecure-skip-(tls-)?verify|insecure-tls|tls-skip-verify|kubelet-insecure-tls)([= ]"?true"?)?$`), "does not verify the peer's certificate"},
	{regexp.MustCompile(`(?i)^--?(peer-)?auto-tls([= ]"?true"?)?$`), "makes self-signed certificates"},
	{regexp.MustCompile(`(?i)^--?(insecure-port|insecure-bind-address)[= ]"?[1-9]`), "serves without TLS"},
	{regexp.MustCompile(`(?i)\bsecretbox\b`), "encrypts at rest with XSalsa20-Poly1305"},
}

func (l *list) argv(where string, args []string) {
	bad := false
	for _, a := range joined(args) {
		for _, w := range weak {
			if w.re.MatchString(a) {
				bad = true
				l.Add("O3", checks.Fail, a, "%s: %s %s", where, a, w.why)
			}
		}
	}
	if !bad {
		l.Add("O3", checks.Pass, "", "%d arguments, none weakens TLS or encryption at rest", len(args))
	}
}

// joined splits shell lines into words and joins an option with its value.
func joined(args []string) []string {
	var words []string
	for _, a := range args {
		words = append(words, strings.Fields(a)...)
	}
	var out []string
	for i, w := range words {
		out = append(out, w)
		if strings.HasPrefix(w, "-") && !strings.Contains(w, "=") && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			out = append(out, w+" "+words[i+1])
		}
	}
	return out
}

var (
	cryptoLibrary = regexp.MustCompile(`^lib(crypto|ssl|gnutls|gnutlsxx|gcrypt|nettle|hogweed|sodium|mbedcrypto|mbedtls|mbedx509|wolfssl|nss3|nssutil3|softokn3|freebl3|freeblpriv3|bearssl|tomcrypt|crypt|botan[0-9-]*|tls|oqs)([.-][0-9a-z.+-]*)?\.(so(\.[0-9.]+)?|a)$|^(fips|legacy)\.so$|^ossl-modules$`)
	shells        = []string{"sh", "ash", "bash", "dash", "zsh", "ksh", "csh", "fish", "busybox", "toybox"}
	languages     = regexp.MustCompile(`^(python|perl|ruby|node|nodejs|php|lua|tclsh|java|guile|gawk|awk|mawk)[0-9.]*$`)
)

func (l *list) names(all []content.Entry) {
	libs, interpreters := map[string]bool{}, map[string]bool{}
	for _, e := range all {
		if e.Whiteout {
			continue
		}
		base := path.Base(strings.TrimSuffix(e.Path, "!"))
		if cryptoLibrary.MatchString(base) && !libs[e.Path] {
			libs[e.Path] = true
			l.Add("O4", checks.Fail, e.Path, "%s is a cryptographic library", e.Path)
		}
		program := e.Link != "" || e.Mode&0o111 != 0
		if program && (slices.Contains(shells, base) || languages.MatchString(base)) && !interpreters[e.Path] {
			interpreters[e.Path] = true
			l.Add("O6", checks.Warn, e.Path, "%s is a shell or interpreter", e.Path)
		}
	}
	if len(libs) == 0 {
		l.Add("O4", checks.Pass, "", "no cryptographic library by name")
	}
	if len(interpreters) == 0 {
		l.Add("O6", checks.Pass, "", "no shell or interpreter")
	}
}

func (l *list) digests(m *image.Manifest) {
	bad := false
	for _, p := range m.Problems {
		if p.Check == "O5" {
			bad = true
			l.Add("O5", checks.Fail, p.Subject, "%s", p.Message)
		}
	}
	if !bad {
		l.Add("O5", checks.Pass, "", "manifest %s, config and %d layers hash to their digests", m.Digest, len(m.Layers))
	}
}

var (
	overclaim   = regexp.MustCompile(`(?i)fips[ _-]*(140[ _-]*[23]?)?[ _-]*(is |was |are )?(validated|certified|compliant|compliance|approved|certification)|(validated|certified|compliant)[a-z ]{0,20}fips`)
	claimsFIPS  = regexp.MustCompile(`(?i)(^|[^a-z])fips([^a-z]|$)`)
	certificate = regexp.MustCompile(`(?i)(?:certificate|cert\.?|cmvp)\D{0,8}#?([0-9]{4})`)
)

func (l *list) labels(m *image.Manifest, inner []Inner) {
	modules, plain := map[string]bool{}, ""
	for _, in := range inner {
		for _, n := range checks.Certificates(in.Binary) {
			modules[n] = true
		}
		if in.Binary.Mode() == measure.Plain {
			plain = in.Path
		}
		if p := in.Binary.Platform; in.Binary.Kind != measure.Object && p != "" && p != m.Platform {
			l.Add("O7", checks.Fail, in.Path, "%s is for %s in an image for %s", in.Path, p, m.Platform)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
		v := m.Labels[k]
		text := k + "=" + v
		switch cert := certificate.FindStringSubmatch(v); {
		case overclaim.MatchString(text):
			l.Add("O7", checks.Fail, k, "label %s: modules are validated, an image only uses one", clip(text))
		case cert != nil && !modules[cert[1]]:
			l.Add("O7", checks.Fail, k, "label %s names certificate #%s, which no program in the image has", clip(text), cert[1])
		case claimsFIPS.MatchString(text) && plain != "":
			l.Add("O7", checks.Fail, k, "label %s, but %s uses plain cryptography", clip(text), plain)
		case claimsFIPS.MatchString(text) && len(modules) == 0 && !strings.EqualFold(v, "false") && !strings.EqualFold(v, "none"):
			l.Add("O7", checks.Fail, k, "label %s, but no program in the image has a module", clip(text))
		}
	}
	if !slices.ContainsFunc(l.Findings, func(f checks.Finding) bool { return f.Check == "O7" }) {
		l.Add("O7", checks.Pass, "", "%d labels and annotations claim no more than was measured", len(m.Labels))
	}
}

func (l *list) same(inner []Inner, withVerdicts bool) {
	if !withVerdicts {
		l.Add("O9", checks.Skipped, "", "no build-time verdicts were given (--verdicts)")
		return
	}
	bad, n := false, 0
	for _, in := range inner {
		switch {
		case in.Verified != "":
			n++
		case in.Binary.Kind == measure.Go:
			bad = true
			l.Add("O9", checks.Fail, in.Path, "%s (sha256 %s) has no verdict from the build", in.Path, in.Binary.SHA256)
		case in.Binary.Kind == measure.Native:
			l.Add("O9", checks.Note, in.Path, "%s is not built here; it was judged in the image", in.Path)
		}
	}
	if !bad {
		l.Add("O9", checks.Pass, "", "%d programs are, byte for byte, the ones verified at build", n)
	}
}

func clip(s string) string {
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return fmt.Sprintf("%q", s)
}
