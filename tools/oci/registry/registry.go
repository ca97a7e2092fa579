// Package registry moves OCI layouts to and from registries.
package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"kubefips.internal/tools/oci/layout"
)

// Options of a push or pull.
type Options struct {
	// Repository to push to; it has neither tag nor digest, as in registry.example/team/etcd.
	Repository string
	// Tags to push under, beside the digest.
	Tags []string
	// Insecure allows plain HTTP; loopback addresses need no leave.
	Insecure bool
	// Keychain knows the credentials; nil for those of the user's Docker configuration.
	Keychain authn.Keychain
	// Transport is for registries with certificates of their own; nil for the machine's.
	Transport http.RoundTripper
	// Pushed is what pushes to the registry share, so that a layer is sent once and not for each repository; nil when there is one alone.
	Pushed Pushed
}

func (o Options) named() []name.Option {
	if o.Insecure {
		return []name.Option{name.Insecure}
	}
	return nil
}

func (o Options) remote() []remote.Option {
	keychain, transport := o.Keychain, o.Transport
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	if transport == nil {
		transport = remote.DefaultTransport
	}
	return []remote.Option{remote.WithAuthFromKeychain(keychain), remote.WithTransport(transport)}
}

// open returns what the layout at dir holds.
func open(dir string) (string, remote.Taggable, error) {
	opened, err := layout.Open(dir)
	if err != nil {
		return "", nil, err
	}
	if opened.Descriptor.MediaType.IsIndex() {
		index, err := opened.Index()
		return opened.Digest(), index, err
	}
	image, err := opened.Image()
	return opened.Digest(), image, err
}

// Push uploads what the layout at dir holds, by digest, and tags it when all of it is there: a push that fails leaves no
// tag. What the registry has is not sent again. The reference by digest is written to out.
func Push(ctx context.Context, dir string, options Options, out io.Writer) error {
	digest, content, err := open(dir)
	if err != nil {
		return err
	}
	repository, err := name.NewRepository(options.Repository, append(options.named(), name.StrictValidation)...)
	if err != nil {
		return fmt.Errorf("repository %q: %w", options.Repository, err)
	}
	pusher, err := remote.NewPusher(options.remote()...)
	if err != nil {
		return err
	}
	reference := repository.Digest(digest)
	content = options.Pushed.mountable(content)
	if err := pusher.Push(ctx, reference, content); err != nil {
		return fmt.Errorf("pushing %s: %w", reference, err)
	}
	if err := options.Pushed.add(content, repository); err != nil {
		return err
	}
	for _, tag := range options.Tags {
		if err := pusher.Push(ctx, repository.Tag(tag), content); err != nil {
			return fmt.Errorf("tagging %s as %s: %w", reference, tag, err)
		}
	}
	_, err = fmt.Fprintln(out, reference)
	return err
}
