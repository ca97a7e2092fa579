// Package checks judges measurements. Each check has an id that is a contract:
// policies, reports and people refer to it.
package checks

import (
	"cmp"
	"slices"
)

// Severity is what a failed check does to the verdict.
type Severity string

const (
	// Block fails always; nothing excuses it.
	Block Severity = "BLOCK"
	// High fails unless the policy has an exception with owner, reason and expiry.
	High Severity = "HIGH"
	// Med warns.
	Med Severity = "MED"
	// Info reports.
	Info Severity = "INFO"
)

// Check is one entry of the catalogue.
type Check struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	// Proves and Not say what a pass shows and what it leaves open, Source
	// where the fact behind the check comes from, Fix what to do about a failure.
	Proves string `json:"proves"`
	Not    string `json:"doesNotProve"`
	Source string `json:"source"`
	Fix    string `json:"fix"`
}

// Lookup finds a check by id.
func Lookup(id string) (Check, bool) {
	i, ok := slices.BinarySearchFunc(Catalogue, id, func(c Check, id string) int { return cmp.Compare(c.ID, id) })
	if !ok {
		return Check{}, false
	}
	return Catalogue[i], true
}

// Catalogue has all checks, sorted by id: B for one binary, O for images and manifests.
var Catalogue = []Check{
	{
		ID: "B01", Title: "every ELF file is classified", Severity: Block,
		Proves: "The file is readable as the kernel loads it, and is Go (it has a function table) or machine code of another language; nothing is packed, damaged or hidden.",
		Not:    "What code does that is fetched or generated at run time.",
		Source: "ELF headers; Go's function table (pclntab), which the runtime needs and stripping keeps; entropy of the code.",
		Fix:    "Ship the program unpacked and undamaged. A Go release with a new function table needs a newer fipscheck.",
	},
	{
		ID: "B02", Title: "measured mode is the declared mode", Severity: Block,
		Proves: "The cryptography in the file comes from where it was declared to come from: boring, native, or none at all.",
		Not:    "That every call goes through the module; see B17 for what is linked beside it.",
		Source: "The module's bytes, the function table and the linker's defaults; build info is not consulted.",
		Fix:    "Build with GOEXPERIMENT=boringcrypto, cgo on, a C toolchain that resolves, linux/amd64 or linux/arm64; or declare what the program really is.",
	},
	{
		ID: "B03", Title: "boring: the module's bytes are intact", Severity: Block,
		Proves: "The HMAC of the module in the file, recomputed, is the one that the module carries and the one of the pinned object: its power-on test will pass, and no linker or packer changed a byte.",
		Not:    "That nobody changed both the code and the HMAC consistently to another module; B04 excludes that.",
		Source: "The module's own integrity test: HMAC with a zero key over its text, measured from goboringcrypto_linux_<arch>.syso.",
		Fix:    "Rebuild from an unmodified Go distribution and do not process the binary after linking.",
	},
	{
		ID: "B04", Title: "boring: the object is pinned to a certificate", Severity: Block,
		Proves: "The module is, byte for byte, one that a Go release carries, and its BoringSSL tag belongs to a CMVP certificate.",
		Not:    "That the certificate covers your operating environment; read its security policy.",
		Source: "SHA-256 of the objects in the Go distribution; certificates #4735 and #4407.",
		Fix:    "Use a Go release whose BoringCrypto object is in the table; after an upgrade of the object, run boring/derive and look the certificate up.",
	},
	{
		ID: "B05", Title: "boring: Go's packages call the module", Severity: Block,
		Proves: "The functions that pass Go's crypto calls to BoringCrypto are linked, so the module is not just dead weight.",
		Not:    "That every algorithm is routed to it; some never are (B17).",
		Source: "crypto/internal/boring._Cfunc__goboringcrypto_* in the function table; crypto/internal/boring/sig.",
		Fix:    "Build with GOEXPERIMENT=boringcrypto and CGO_ENABLED=1.",
	},
	{
		ID: "B06", Title: "boring: no standard Go cryptography beside it", Severity: Block,
		Proves: "The marker that the fallback implementations carry is absent, by code (amd64) and by name.",
		Not:    "That packages which BoringCrypto never replaces are absent (B17).",
		Source: "crypto/internal/boring/sig.StandardCrypto.",
		Fix:    "Do not link plugins or objects that were compiled without boringcrypto.",
	},
	{
		ID: "B07", Title: "the TLS policy is linked where crypto/tls is", Severity: High,
		Proves: "crypto/tls/fipsonly (or native FIPS mode by default) restricts TLS to approved versions, ciphers, curves and keys.",
		Not:    "That the program uses no other TLS implementation (B16, B17).",
		Source: "crypto/tls/fipsonly and its marker crypto/internal/boring/sig.FIPSOnly.",
		Fix:    "Add `import _ \"crypto/tls/fipsonly\"` to the main package; without it X25519 and ChaCha20 are negotiated in plain Go.",
	},
	{
		ID: "B08", Title: "native: exactly one frozen snapshot", Severity: Block,
		Proves: "All packages of Go's FIPS module come from one named snapshot, and none from the distribution's own source.",
		Not:    "That the snapshot is validated; see B11 and B12.",
		Source: "Import paths crypto/internal/fips140/<version>/... in the function table.",
		Fix:    "Build with GOFIPS140=v1.0.0-c2097c7c.",
	},
	{
		ID: "B09", Title: "native: the integrity sum recomputes", Severity: Block,
		Proves: "The HMAC over the module's code and data in the file is the one the program will compare with at start.",
		Not:    "FIPS mode: every Go program since 1.24 has a valid sum.",
		Source: "Section .go.fipsinfo, found by its magic; HMAC-SHA256 with a zero key.",
		Fix:    "Rebuild, and do not process the binary after linking.",
	},
	{
		ID: "B10", Title: "native: FIPS mode is the default, without contradiction", Severity: Block,
		Proves: "The linker set fips140=on as the default, and no other value stands in the file.",
		Not:    "That the environment does not switch it off; see O2.",
		Source: "runtime.godebugDefault; strings outside the build info.",
		Fix:    "Build with GOFIPS140 set and no //go:debug fips140 line.",
	},
	{
		ID: "B11", Title: "native: the snapshot's archive is pinned", Severity: Block,
		Proves: "The snapshot's name is one whose archive digest is known; with --sdk, that the archive in that Go distribution has this digest.",
		Not:    "Without --sdk, that the distribution which compiled it had the true archive.",
		Source: "lib/fips140/fips140.sum of the Go distribution.",
		Fix:    "Use a Go release that carries the validated archive (1.24.3 and 1.25.1 or later), and pass --sdk where the build happens.",
	},
	{
		ID: "B12", Title: "boring or native, and a validated version of it", Severity: Block,
		Proves: "Only one module is in use, and it is not a version that is in process or was never submitted.",
		Not:    "The certificate's present status; see B20.",
		Source: "CMVP; crypto/fips140 documentation: `latest` and `inprocess` are not validated.",
		Fix:    "Choose one: GOEXPERIMENT=boringcrypto, or GOFIPS140 with a certified version.",
	},
	{
		ID: "B13", Title: "build info agrees with the measurement", Severity: High,
		Proves: "What the program says about its build does not contradict what is in it.",
		Not:    "Anything by itself: build info can be made to say what one likes, and may be absent.",
		Source: "runtime/debug build settings.",
		Fix:    "-tags boringcrypto is not the experiment: use GOEXPERIMENT=boringcrypto with CGO_ENABLED=1.",
	},
	{
		ID: "B14", Title: "statically linked", Severity: High,
		Proves: "No interpreter and no needed libraries: what was verified is what runs.",
		Not:    "That the program does not dlopen; see B16.",
		Source: "PT_INTERP and DT_NEEDED.",
		Fix:    "Link with -linkmode=external -extldflags=-static, tags netgo,osusergo.",
	},
	{
		ID: "B15", Title: "boring: no Historical module", Severity: Block,
		Proves: "The module is not one whose certificate moved to the Historical list.",
		Not:    "The present status of an active certificate; see B20.",
		Source: "Go 1.23 and older carry fips-20210429 (certificate #4407, FIPS 140-2); those certificates became Historical on 2026-09-21.",
		Fix:    "Build with Go 1.24 or newer.",
	},
	{
		ID: "B16", Title: "no foreign cryptography", Severity: High,
		Proves: "No other cryptographic library is linked, named for dlopen, or recognised by its constants.",
		Not:    "Code that hides its tables, or a library under another name.",
		Source: "DT_NEEDED, names of shared objects, version banners, constants of AES, SHA-2, MD5, ChaCha20, Blowfish; Go bindings by import path.",
		Fix:    "Remove the library, or except it with the reason why it is not used for protection.",
	},
	{
		ID: "B17", Title: "no undecided non-approved packages", Severity: High,
		Proves: "Which packages outside the module are linked, by the names of their functions.",
		Not:    "Use: linked is not called.",
		Source: "Function table; inlined functions are in it too.",
		Fix:    "Decide for each: remove it, switch it off, or record in the policy why it is not reached.",
	},
	{
		ID: "B18", Title: "platform with a module", Severity: Block,
		Proves: "The file is for linux/amd64 or linux/arm64, the platforms for which the module exists.",
		Not:    "That the certificate lists your processor and kernel.",
		Source: "ELF header; build constraints of crypto/internal/boring.",
		Fix:    "Build for linux/amd64 or linux/arm64.",
	},
	{
		ID: "B19", Title: "live probe", Severity: Med,
		Proves: "Started with GODEBUG=fips140=on, a real boring binary refuses to run; a fallback carries on.",
		Not:    "More than that one start on this machine.",
		Source: "Go's runtime refuses the native module together with boringcrypto.",
		Fix:    "Look at the other checks; the probe is a second opinion. Run it with --probe.",
	},
	{
		ID: "B20", Title: "certificate not past its sunset", Severity: High,
		Proves: "On the date of the verdict the certificate's recorded sunset had not passed.",
		Not:    "Anything while the date is unknown: then a person has to read it at the CMVP.",
		Source: "Dates that a person recorded in the policy, or this program's table.",
		Fix:    "Look the certificate up at the CMVP and record its sunset in the policy, with the day you looked.",
	},
	{
		ID: "O1", Title: "every file of every layer and platform is walked", Severity: Block,
		Proves: "Every ELF file of every layer was verified, files that a later layer hides among them.",
		Not:    "What is mounted or downloaded when the container runs.",
		Source: "OCI image specification.",
		Fix:    "Repair or rebuild the image; hidden files are still shipped, so remove them where they are added.",
	},
	{
		ID: "O2", Title: "no environment that changes the mode", Severity: Block,
		Proves: "The image's environment sets neither GODEBUG=fips140 nor another switch of the mode.",
		Not:    "What a pod or a shell sets later; see O8.",
		Source: "Image config Env, entrypoint and command.",
		Fix:    "Remove GODEBUG fips140, tlsmlkem and similar settings, GOFIPS140 and OPENSSL_* from the image.",
	},
	{
		ID: "O3", Title: "no argument that weakens TLS or encryption at rest", Severity: High,
		Proves: "Entrypoint, command and manifests name no non-approved cipher, curve, TLS version or at-rest provider.",
		Not:    "What configuration files say that are mounted later.",
		Source: "Kubernetes and etcd options; SP 800-52r2.",
		Fix:    "Drop the option or name approved values only.",
	},
	{
		ID: "O4", Title: "no cryptographic library in the file system", Severity: High,
		Proves: "No shared or static library of a known cryptographic project is in any layer.",
		Not:    "Libraries under unknown names; B16 looks at their contents.",
		Source: "File names.",
		Fix:    "Leave the library out of the image.",
	},
	{
		ID: "O5", Title: "the digest is part of the evidence", Severity: Block,
		Proves: "The bytes that were read hash to the digest that names them, for index, manifests, config and layers.",
		Not:    "Who made them; that is a signature's work.",
		Source: "OCI content descriptors.",
		Fix:    "Fetch or build the image again; its content is not what its digest says.",
	},
	{
		ID: "O6", Title: "interpreters and shells", Severity: Med,
		Proves: "Which shells and language runtimes are in the image.",
		Not:    "That they are used.",
		Source: "File names and executable bits.",
		Fix:    "Leave them out where nothing needs them: scripts can bring cryptography that no ELF check sees.",
	},
	{
		ID: "O7", Title: "labels claim no more than was measured", Severity: High,
		Proves: "No label or annotation calls the image FIPS validated, certified or compliant, or names a module that is not in it.",
		Not:    "What a README or web page says.",
		Source: "CMVP's rules of wording: modules are validated, products use them.",
		Fix:    "Write \"uses BoringCrypto, certificate #...\" instead.",
	},
	{
		ID: "O8", Title: "charts and manifests", Severity: Med,
		Proves: "Manifests set no mode-changing environment and mount no program or library from the host.",
		Not:    "What admission controllers change.",
		Source: "Kubernetes pod specifications.",
		Fix:    "Remove the variable or the host path.",
	},
	{
		ID: "O9", Title: "the binary in the image is the one verified at build", Severity: Block,
		Proves: "Each verified program in the image has the SHA-256 of a verdict given at build time.",
		Not:    "Anything when no verdicts are given (--verdicts).",
		Source: "JSON reports of `fipscheck binary`.",
		Fix:    "Build the image from verified targets.",
	},
}
