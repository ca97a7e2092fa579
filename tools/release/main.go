// Command release signs the list of digests of a release, and verifies a release by it. It is built as what is shipped is:
// its cryptography is that of the module.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kubefips.internal/tools/oci/contents"
	"kubefips.internal/tools/release/bundle"
	"kubefips.internal/tools/release/signature"
)

func main() {
	// `bazel run` starts programs elsewhere.
	if dir := os.Getenv("BUILD_WORKING_DIRECTORY"); dir != "" {
		if err := os.Chdir(dir); err != nil {
			fail(err)
		}
	}
	root := &cobra.Command{
		Use:           "release",
		Short:         "Sign the list of digests of a release, and verify a release by it",
		Long:          "Sign the list of digests of a release, and verify a release by it.\n\nIt exits with 0 when all is right, else with 1.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(signCommand(), verifyCommand())
	if err := root.Execute(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "release:", err)
	os.Exit(1)
}

func signCommand() *cobra.Command {
	var key, output string
	command := &cobra.Command{
		Use:   "sign DIGESTS.json",
		Short: "Sign a list of digests",
		Long: "Write a detached signature: ECDSA with P-256, or RSA PKCS #1 v1.5, over SHA-256.\n" +
			"`openssl dgst -sha256 -sign KEY` writes such a one where the key cannot leave a device.",
		Example: "  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.key\n" +
			"  release sign --key release.key --output digests.json.sig digests.json",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			list, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var digests contents.Digests
			if err := json.Unmarshal(list, &digests); err != nil || len(digests.Images) == 0 {
				return errors.Join(fmt.Errorf("%s is no list of digests: sign what //images:digests writes", args[0]), err)
			}
			keyPEM, err := os.ReadFile(key)
			if err != nil {
				return err
			}
			signed, err := signature.Sign(keyPEM, list)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			return os.WriteFile(output, signed, 0o644)
		},
	}
	command.Flags().StringVar(&key, "key", "", "private key, a PEM `file` (PKCS #8): P-256, or RSA with 3072 or 4096 bits")
	command.Flags().StringVar(&output, "output", "", "`file` for the signature")
	command.MarkFlagRequired("key")
	command.MarkFlagRequired("output")
	return command
}

func verifyCommand() *cobra.Command {
	var key, signed, archive string
	command := &cobra.Command{
		Use:   "verify [DIGESTS.json]",
		Short: "Verify a list of digests, or a bundle with the list in it",
		Long: "Verify a list of digests by its signature. Of a bundle, the list in it is verified, and then every byte of the\n" +
			"bundle by the list: what the list names is there, under its name, and nothing else is.",
		Example: "  release verify --key release.pub --signature digests.json.sig digests.json\n" +
			"  release verify --key release.pub --signature digests.json.sig --bundle bundle.tar",
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if (len(args) == 1) == (archive != "") {
				return errors.New("give either a list or --bundle")
			}
			keyPEM, err := os.ReadFile(key)
			if err != nil {
				return err
			}
			signedBytes, err := os.ReadFile(signed)
			if err != nil {
				return err
			}
			verified := append(args, archive)[0]
			if err := verify(verified, archive != "", keyPEM, signedBytes); err != nil {
				return fmt.Errorf("%s: %w", verified, err)
			}
			fmt.Fprintf(command.OutOrStdout(), "%s is what the owner of %s signed\n", verified, key)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&key, "key", "", "public key, a PEM `file`")
	flags.StringVar(&signed, "signature", "", "`file` that `release sign` wrote")
	flags.StringVar(&archive, "bundle", "", "bundle, a `file`, in place of a list")
	command.MarkFlagRequired("key")
	command.MarkFlagRequired("signature")
	return command
}

func verify(name string, isBundle bool, keyPEM, signed []byte) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	readList := func() ([]byte, error) { return io.ReadAll(file) }
	if isBundle {
		readList = func() ([]byte, error) { return bundle.List(file) }
	}
	list, err := readList()
	if err != nil {
		return err
	}
	if err := signature.Verify(keyPEM, list, signed); err != nil {
		return err
	}
	if !isBundle {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return bundle.Check(file, list)
}
