// Linked into every program that links crypto/tls: restricts TLS to versions, cipher suites, curves and
// certificates that FIPS 140 approves. With BoringCrypto alone, a program still negotiates X25519 and ChaCha20.

package main

import _ "crypto/tls/fipsonly"
