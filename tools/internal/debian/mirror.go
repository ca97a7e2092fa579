package debian

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// MirrorEnv is the variable that overrides the machine's apt configuration: a
// list of archive bases, separated by commas or spaces and tried in order.
const MirrorEnv = "DEBIAN_MIRROR"

// ErrNoMirror is returned when nothing says where Debian's archive is.
var ErrNoMirror = errors.New("no Debian archive is known: " + MirrorEnv +
	" is not set and /etc/apt has no enabled deb entry with component main; set " + MirrorEnv +
	" to the base of an archive (the URL above dists/ and pool/), several separated by commas")

// Mirrors are places that serve Debian's archives.
type Mirrors struct {
	bases []base
}

type base struct {
	url string
	// archive is empty when the URL does not tell which archive it serves.
	archive string
}

// archives are the names that an archive's base has in its path, and in locks.
var archives = []string{"debian", "debian-security"}

// FindMirrors reads $DEBIAN_MIRROR, else the apt configuration under etcApt
// (usually /etc/apt).
func FindMirrors(etcApt string) (*Mirrors, error) {
	if list := os.Getenv(MirrorEnv); strings.TrimSpace(list) != "" {
		return ParseMirrors(list)
	}
	files, err := filepath.Glob(filepath.Join(etcApt, "sources.list.d", "*"))
	if err != nil {
		return nil, err
	}
	m := &Mirrors{}
	for _, f := range append([]string{filepath.Join(etcApt, "sources.list")}, files...) {
		var read func([]byte) []aptEntry
		switch filepath.Ext(f) {
		case ".list":
			read = readOneLine
		case ".sources":
			read = readDeb822
		default: // apt ignores it as well
			continue
		}
		data, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("reading apt configuration: %w", err)
		}
		for _, e := range read(data) {
			m.addEntry(e)
		}
	}
	if len(m.bases) == 0 {
		return nil, ErrNoMirror
	}
	return m, nil
}

// ParseMirrors reads a list as $DEBIAN_MIRROR has it.
func ParseMirrors(list string) (*Mirrors, error) {
	m := &Mirrors{}
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' }) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%s: %q is not an http or https URL", MirrorEnv, s)
		}
		m.add(s)
	}
	return m, nil
}

// String returns the list in the form that $DEBIAN_MIRROR has.
func (m *Mirrors) String() string {
	var urls []string
	for _, b := range m.bases {
		urls = append(urls, b.url)
	}
	return strings.Join(urls, ",")
}

// URLs returns where path of archive may be had, the most likely place first.
func (m *Mirrors) URLs(archive, path string) []string {
	var own, siblings, unknown []string
	for _, b := range m.bases {
		switch b.archive {
		case archive:
			own = append(own, b.url+"/"+path)
		case "":
			unknown = append(unknown, b.url+"/"+path)
		default:
			// Mirrors usually carry all of Debian's archives side by side.
			parts := strings.Split(b.url, "/")
			for i := len(parts) - 1; i > 2; i-- {
				if parts[i] == b.archive {
					parts[i] = archive
					break
				}
			}
			siblings = append(siblings, strings.Join(parts, "/")+"/"+path)
		}
	}
	var all []string
	for _, u := range slices.Concat(own, unknown, siblings) {
		if !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	return all
}

func (m *Mirrors) add(s string) {
	b := base{url: strings.TrimRight(s, "/")}
	parts := strings.Split(b.url, "/")
	for i := len(parts) - 1; i > 2 && b.archive == ""; i-- {
		if slices.Contains(archives, parts[i]) {
			b.archive = parts[i]
		}
	}
	if !slices.Contains(m.bases, b) {
		m.bases = append(m.bases, b)
	}
}

// aptEntry is one entry of an apt source list.
type aptEntry struct {
	types, uris, components []string
}

func (m *Mirrors) addEntry(e aptEntry) {
	if !slices.Contains(e.types, "deb") || !slices.Contains(e.components, "main") {
		return
	}
	for _, u := range e.uris {
		if strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://") {
			m.add(u)
		}
	}
	// Entries that name one of Debian's archives before those that may be anybody's.
	sort.SliceStable(m.bases, func(i, j int) bool { return m.bases[i].archive != "" && m.bases[j].archive == "" })
}

// readOneLine reads the format of sources.list.
func readOneLine(data []byte) []aptEntry {
	var entries []aptEntry
	for _, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if before, options, ok := strings.Cut(line, "["); ok {
			_, after, _ := strings.Cut(options, "]")
			line = before + after
		}
		if f := strings.Fields(line); len(f) >= 3 {
			entries = append(entries, aptEntry{types: f[:1], uris: f[1:2], components: f[3:]})
		}
	}
	return entries
}

// readDeb822 reads the format of *.sources.
func readDeb822(data []byte) []aptEntry {
	var entries []aptEntry
	for _, p := range Paragraphs(data) {
		if strings.EqualFold(p["Enabled"], "no") {
			continue
		}
		entries = append(entries, aptEntry{
			types:      strings.Fields(p["Types"]),
			uris:       strings.Fields(p["URIs"]),
			components: strings.Fields(p["Components"]),
		})
	}
	return entries
}

// Paragraphs reads Debian's control file format: paragraphs of fields, each
// value with its continuation lines. Comment lines are dropped.
func Paragraphs(data []byte) []map[string]string {
	var all []map[string]string
	cur := map[string]string{}
	field := ""
	flush := func() {
		if len(cur) > 0 {
			all = append(all, cur)
			cur, field = map[string]string{}, ""
		}
	}
	s := bufio.NewScanner(strings.NewReader(string(data)))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if field != "" {
				cur[field] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, _ := strings.Cut(line, ":")
			field = name
			cur[field] = strings.TrimSpace(value)
		}
	}
	flush()
	return all
}
