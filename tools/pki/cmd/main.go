// Command pki makes certificate authorities, and certificates of servers and clients, whose keys are of kinds that FIPS 140
// approves. It is built as what is shipped is: its keys are of the module.
package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/pki"
)

func main() {
	// `bazel run` starts programs elsewhere.
	if dir := os.Getenv("BUILD_WORKING_DIRECTORY"); dir != "" {
		if err := os.Chdir(dir); err != nil {
			fail(err)
		}
	}
	if err := command().Execute(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pki:", err)
	os.Exit(1)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "pki",
		Short: "Make certificates whose keys are of kinds that FIPS 140 approves",
		Long: "Make certificates whose keys are of kinds that FIPS 140 approves.\n\n" +
			"It exits with 0 when it has written all files, else with 1. Keys are PEM (PKCS #8), not encrypted, and only their owner can read them.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(caCommand(), issueCommand())
	return root
}

// options are the flags of both commands.
type options struct {
	key   pki.Key
	days  int
	force bool
}

func (o *options) add(cmd *cobra.Command, days int) {
	o.key = pki.P256
	cmd.Flags().Var(&o.key, "key", "kind of the key: "+pki.Kinds)
	cmd.Flags().IntVar(&o.days, "days", days, "how long the certificate lasts")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace files that are there already, keys too")
}

// end returns when the certificate ends.
func (o *options) end() (time.Time, error) {
	const most = 36500
	if o.days < 1 || o.days > most {
		return time.Time{}, fmt.Errorf("--days %d: want 1 to %d", o.days, most)
	}
	return time.Now().AddDate(0, 0, o.days), nil
}

// write writes <file>.crt and <file>.key, and says so.
func (o *options) write(cmd *cobra.Command, pair *pki.Pair, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := pair.Write(file+".crt", file+".key", o.force); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; --force replaces it", err)
	} else if err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s.crt and %[1]s.key: %s, %s, until %s\n", file, pair.Cert.Subject, o.key, pair.Cert.NotAfter.Format(time.DateOnly))
	return err
}

func caCommand() *cobra.Command {
	var o options
	var name string
	cmd := &cobra.Command{
		Use:     "ca --name NAME DIR",
		Short:   "Make an authority: DIR/ca.crt and DIR/ca.key",
		Long:    "Make an authority: DIR/ca.crt, which servers and clients trust, and DIR/ca.key, with which `issue` signs.",
		Example: "  pki ca --name 'Example CA' --key p384 authority",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := o.end()
			if err != nil {
				return err
			}
			if name == "" {
				return errors.New("--name: want what the authority is called")
			}
			pair, err := pki.NewAuthority(name, o.key, end)
			if err != nil {
				return fmt.Errorf("making the authority: %w", err)
			}
			return o.write(cmd, pair, filepath.Join(args[0], "ca"))
		},
	}
	o.add(cmd, 3650)
	cmd.Flags().StringVar(&name, "name", "", "common `name` of the authority")
	cmd.MarkFlagRequired("name")
	return cmd
}

var usages = map[string][]x509.ExtKeyUsage{
	"server": {x509.ExtKeyUsageServerAuth},
	"client": {x509.ExtKeyUsageClientAuth},
	"both":   {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
}

func issueCommand() *cobra.Command {
	var o options
	var ca, usage string
	var r pki.Request
	var ips []net.IP
	cmd := &cobra.Command{
		Use:   "issue --ca DIR --cn NAME OUT",
		Short: "Make a certificate that an authority has signed: OUT.crt and OUT.key",
		Long: "Make a certificate that an authority has signed: OUT.crt and OUT.key.\n\n" +
			"Clients look for a server's name in --dns and --ip alone. Kubernetes takes --cn for the user and --org for the user's groups.",
		Example: "  pki issue --ca authority --cn registry --dns registry.example --ip 10.0.0.7 registry\n" +
			"  pki issue --ca authority --usage client --cn jane --org developers --key rsa3072 --days 30 jane",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			out, known := args[0], false
			if info, err := os.Stat(out); strings.HasSuffix(out, "/") || err == nil && info.IsDir() {
				return fmt.Errorf("%s is a folder: want a file's name without its ending, such as %s", out, filepath.Join(out, "server"))
			}
			if r.Usages, known = usages[usage]; !known {
				return fmt.Errorf("--usage %s: want server, client or both", usage)
			}
			if r.Key, r.Subject.CommonName = o.key, strings.TrimSpace(r.Subject.CommonName); r.Subject.CommonName == "" {
				return errors.New("--cn: want a name")
			}
			for _, name := range r.Names {
				if name == "" || strings.ContainsAny(name, ":/ ") {
					return fmt.Errorf("--dns %q: want a name such as api.example, with neither scheme nor port", name)
				}
			}
			for _, ip := range ips {
				r.Names = append(r.Names, ip.String())
			}
			if usage != "client" && len(r.Names) == 0 {
				return errors.New("no client would accept a server's certificate without names: give --dns or --ip, or --usage client")
			}
			if r.NotAfter, err = o.end(); err != nil {
				return err
			}
			authority, err := pki.ReadAuthority(filepath.Join(ca, "ca.crt"), filepath.Join(ca, "ca.key"))
			if err != nil {
				return fmt.Errorf("--ca: %w; `pki ca` makes an authority", err)
			}
			pair, err := authority.Issue(r)
			if err != nil {
				return fmt.Errorf("making the certificate: %w", err)
			}
			return o.write(cmd, pair, out)
		},
	}
	o.add(cmd, 365)
	flags := cmd.Flags()
	flags.StringVar(&ca, "ca", "", "`folder` of the authority")
	flags.StringVar(&r.Subject.CommonName, "cn", "", "common `name`")
	flags.StringSliceVar(&r.Subject.Organization, "org", nil, "`organization`, once for each")
	flags.StringSliceVar(&r.Names, "dns", nil, "DNS `name` of the server, once for each")
	flags.IPSliceVar(&ips, "ip", nil, "IP `address` of the server, once for each")
	flags.Lookup("ip").DefValue = "" // the help would say "[]"
	flags.StringVar(&usage, "usage", "server", "what it is for: server, client or both")
	cmd.MarkFlagRequired("ca")
	cmd.MarkFlagRequired("cn")
	return cmd
}
