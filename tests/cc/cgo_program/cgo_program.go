// Command cgo_program prints where it runs, and what it hears from C: the compiler's file name, and the version of
// a library's code and of its header.
package main

/*
#include <zlib.h>

static const char *file(void) { return __FILE__; }
*/
import "C"

import (
	"fmt"
	"path"
)

func main() {
	fmt.Printf("%s: zlib %s, header %s\n", path.Base(C.GoString(C.file())), C.GoString(C.zlibVersion()), C.ZLIB_VERSION)
}
