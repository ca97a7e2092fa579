package imagechecks

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"kubefips.internal/tools/fipscheck/checks"
)

// maxDocuments bounds the YAML documents of one manifest file.
const maxDocuments = 10_000

// Manifest judges a Kubernetes manifest or a Helm chart's template by O2, O3
// and O8. Template actions are taken out first: what they would insert is not
// known, what stands around them is judged.
func Manifest(name string, src []byte) ([]checks.Finding, error) {
	var l list
	w := manifest{l: &l}
	d := yaml.NewDecoder(bytes.NewReader(withoutActions(src)))
	for n := 0; ; n++ {
		var doc yaml.Node
		err := d.Decode(&doc)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: not YAML: %w", name, err)
		}
		if n >= maxDocuments {
			return nil, fmt.Errorf("%s: more than %d documents", name, maxDocuments)
		}
		w.node(&doc, "", 0)
	}
	for _, id := range []string{"O2", "O3", "O8"} {
		found := false
		for _, f := range l.Findings {
			found = found || f.Check == id
		}
		if !found {
			l.Add(id, checks.Pass, "", "nothing found")
		}
	}
	return l.sorted(), nil
}

var (
	actionLine = regexp.MustCompile(`^\s*(\{\{-?[^{}]*-?\}\}\s*)+$`)
	action     = regexp.MustCompile(`\{\{[^{}]*\}\}`)
)

// withoutActions blanks lines that hold only template actions and replaces
// actions inside a line by a word.
func withoutActions(src []byte) []byte {
	if !bytes.Contains(src, []byte("{{")) {
		return src
	}
	lines := strings.Split(string(src), "\n")
	comment := false
	for i, s := range lines {
		switch {
		case comment || strings.Contains(s, "{{/*") || strings.Contains(s, "{{- /*"):
			comment = !strings.Contains(s, "*/")
			lines[i] = ""
		case actionLine.MatchString(s):
			lines[i] = ""
		default:
			lines[i] = action.ReplaceAllString(s, "TEMPLATE")
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

type manifest struct{ l *list }

// node looks at every mapping, wherever it stands: pod templates appear under
// many kinds. Aliases are not followed: what they point to is visited itself.
func (w manifest) node(n *yaml.Node, key string, depth int) {
	if depth > 100 {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = n.Content[i+1]
		}
		w.mapping(m, key)
		for i := 0; i+1 < len(n.Content); i += 2 {
			w.node(n.Content[i+1], n.Content[i].Value, depth+1)
		}
	case yaml.SequenceNode:
		if key == "args" || key == "command" {
			w.args(n)
		}
		for _, c := range n.Content {
			w.node(c, key, depth+1)
		}
	case yaml.DocumentNode:
		for _, c := range n.Content {
			w.node(c, key, depth+1)
		}
	}
}

func (w manifest) mapping(m map[string]*yaml.Node, key string) {
	// env: [{name, value}], and maps of variables in values files.
	if name, value := m["name"], m["value"]; name != nil && value != nil {
		w.variable(name.Value, value.Value, value.Line)
	}
	for k, v := range m {
		if v.Kind == yaml.ScalarNode {
			w.variable(k, v.Value, v.Line)
		}
	}
	if p := m["path"]; key == "hostPath" && p != nil {
		w.hostPath(p)
	}
	if _, ok := m["secretbox"]; ok {
		w.l.Add("O3", checks.Fail, "secretbox", "line %d: EncryptionConfiguration with secretbox encrypts at rest with XSalsa20-Poly1305", m["secretbox"].Line)
	}
}

func (w manifest) variable(name, value string, line int) {
	if msg := envProblem(name + "=" + value); msg != "" {
		w.l.Add("O2", checks.Fail, name, "line %d: %s", line, msg)
	}
}

func (w manifest) args(n *yaml.Node) {
	var args []string
	for _, c := range n.Content {
		if c.Kind == yaml.ScalarNode {
			args = append(args, c.Value)
		}
	}
	for _, a := range joined(args) {
		for _, weak := range weak {
			if weak.re.MatchString(a) {
				w.l.Add("O3", checks.Fail, a, "line %d: %s %s", n.Line, a, weak.why)
			}
		}
	}
}

// programPaths are where a host keeps programs and libraries: mounting them
// brings code that nobody verified.
var programPaths = []string{"/", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/libexec"}

func (w manifest) hostPath(p *yaml.Node) {
	clean := path.Clean(p.Value)
	for _, dir := range programPaths {
		if clean == dir || dir != "/" && strings.HasPrefix(clean, dir+"/") {
			w.l.Add("O8", checks.Warn, clean, "line %d: mounts %s of the host, where it keeps programs or libraries", p.Line, clean)
			return
		}
	}
}
