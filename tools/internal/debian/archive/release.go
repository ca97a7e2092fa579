// Package archive reads a Debian archive's signed index and turns a set of
// package names into a lock.
package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/mikelolasagasti/xz"

	"kubefips.internal/tools/internal/debian"
)

// Keyring is where Debian installs the public keys of its archives. The
// machine's own copy is used, not one of the repository's: Debian rotates the
// keys, and updates this file by a package that the old keys have signed.
const Keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// Reader reads suites and verifies their signatures.
type Reader struct {
	Fetcher *debian.Fetcher
	Keys    openpgp.EntityList
	// AllowExpired accepts a release file whose Valid-Until has passed, as a
	// frozen mirror or a snapshot serves it. The signature is verified all the same.
	AllowExpired bool
	// Now is time.Now when nil.
	Now func() time.Time
}

// ReadKeyring reads a keyring file, armored or not.
func ReadKeyring(name string) (openpgp.EntityList, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("keys of Debian's archive: %w; install debian-archive-keyring or name a keyring with --keyring", err)
	}
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(data))
	if err != nil {
		keys, err = openpgp.ReadKeyRing(bytes.NewReader(data))
	}
	if err != nil {
		return nil, fmt.Errorf("keys of Debian's archive: %s: %w", name, err)
	}
	return keys, nil
}

// suite is a verified release file.
type suite struct {
	debian.Release
	// files has the sha256 and size of every index, by path under the suite.
	files map[string]indexFile
}

type indexFile struct {
	sha256 string
	size   int64
}

// open fetches and verifies the release file of "<archive>/<suite>".
func (r *Reader) open(ctx context.Context, name string) (*suite, error) {
	archive, suiteName, ok := strings.Cut(name, "/")
	if !ok {
		return nil, fmt.Errorf("suite %q is not <archive>/<suite>", name)
	}
	data, err := r.Fetcher.Get(ctx, archive, "dists/"+suiteName+"/InRelease")
	if err != nil {
		return nil, err
	}
	block, rest := clearsign.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: InRelease is not one clear-signed message", name)
	}
	signers, err := r.verify(block)
	if err != nil {
		return nil, fmt.Errorf("%s: InRelease: %w", name, err)
	}
	paragraphs := debian.Paragraphs(block.Plaintext)
	if len(paragraphs) != 1 {
		return nil, fmt.Errorf("%s: InRelease has %d paragraphs, expected one", name, len(paragraphs))
	}
	fields := paragraphs[0]
	if suiteName != fields["Suite"] && suiteName != fields["Codename"] {
		return nil, fmt.Errorf("%s: InRelease is of suite %s (%s)", name, fields["Suite"], fields["Codename"])
	}
	if err := r.checkExpiry(fields["Valid-Until"]); err != nil {
		return nil, fmt.Errorf("%s: InRelease: %w", name, err)
	}
	s := &suite{
		Release: debian.Release{Archive: archive, Suite: suiteName, Date: fields["Date"], SignedBy: signers},
		files:   map[string]indexFile{},
	}
	for _, line := range strings.Split(fields["SHA256"], "\n") {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: InRelease: size of %s: %w", name, f[2], err)
		}
		s.files[f[2]] = indexFile{f[0], size}
	}
	return s, nil
}

// verify returns the keys with a good signature. One is enough, as for apt:
// Debian signs with the keys of several releases, and a machine knows some.
func (r *Reader) verify(block *clearsign.Block) ([]string, error) {
	packets := packet.NewReader(block.ArmoredSignature.Body)
	var good []string
	var bad []error
	for {
		p, err := packets.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading signatures: %w", err)
		}
		sig, ok := p.(*packet.Signature)
		if !ok {
			continue
		}
		var one bytes.Buffer
		if err := sig.Serialize(&one); err != nil {
			return nil, fmt.Errorf("reading signatures: %w", err)
		}
		config := &packet.Config{Time: r.now}
		signer, err := openpgp.CheckDetachedSignature(r.Keys, bytes.NewReader(block.Bytes), &one, config)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		good = append(good, strings.ToUpper(hex.EncodeToString(signer.PrimaryKey.Fingerprint)))
	}
	if len(good) == 0 {
		return nil, fmt.Errorf("no signature by a key of Debian's archive (%v)", bad)
	}
	return good, nil
}

func (r *Reader) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *Reader) checkExpiry(validUntil string) error {
	if validUntil == "" || r.AllowExpired {
		return nil
	}
	t, err := time.Parse(time.RFC1123, validUntil)
	if err != nil {
		return fmt.Errorf("Valid-Until: %w", err)
	}
	if r.now().After(t) {
		return fmt.Errorf("valid until %s only: the mirror is out of date; use another, or --allow-expired for a frozen one", validUntil)
	}
	return nil
}

// index returns the paragraphs of an index, verified against the release file.
func (r *Reader) index(ctx context.Context, s *suite, path string) ([]map[string]string, error) {
	want, ok := s.files[path]
	if !ok {
		return nil, fmt.Errorf("%s/%s has no %s", s.Archive, s.Suite, path)
	}
	full := "dists/" + s.Suite + "/" + path
	data, err := r.Fetcher.Get(ctx, s.Archive, full)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want.sha256 {
		return nil, fmt.Errorf("%s of %s has sha256 %s, its signed release file says %s; the mirror may be updating, try again", full, s.Archive, got, want.sha256)
	}
	x, err := xz.NewReader(bytes.NewReader(data), 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", full, err)
	}
	text, err := io.ReadAll(x)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", full, err)
	}
	return debian.Paragraphs(text), nil
}
