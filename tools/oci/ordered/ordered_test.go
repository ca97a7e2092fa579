package ordered_test

import (
	"testing"

	"kubefips.internal/tools/oci/ordered"
)

func TestEncodeKeepsOrderAndLayout(t *testing.T) {
	const want = `{
  "z": 12345678901234567890,
  "a": [
    {},
    [],
    null,
    true,
    1.50
  ],
  "text": "<&> \"q\" \\ \t \u0001 \u007f é ` + "\u2028" + `"
}`
	object, err := ordered.Decode([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(ordered.Encode(object)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestSetKeepsThePlaceOfAKey(t *testing.T) {
	object := ordered.NewObject().Set("a", "1").Set("b", "2").Set("a", "3")
	object.Set("gone", "4").Delete("gone")
	object.Delete("never")
	if got, want := string(ordered.Encode(object)), "{\n  \"a\": \"3\",\n  \"b\": \"2\"\n}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, bad := range []string{"", "[]", "{", `{"a":1} {}`, `{"a"}`} {
		if _, err := ordered.Decode([]byte(bad)); err == nil {
			t.Errorf("Decode(%q): no error", bad)
		}
	}
}
