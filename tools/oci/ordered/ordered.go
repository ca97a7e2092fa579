// Package ordered reads and writes JSON objects whose keys keep their order.
//
// The digest of an image is the digest of its JSON, so key order and layout are part of it. encoding/json loses the one and
// escapes differently; this package writes what jq writes: two spaces, no escape that JSON does not demand.
package ordered

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Object is a JSON object; keys stand in the order in which they were first set.
type Object struct {
	keys   []string
	values map[string]any
}

// NewObject returns an empty object.
func NewObject() *Object { return &Object{values: map[string]any{}} }

// Empty reports whether the object has no key.
func (o *Object) Empty() bool { return len(o.keys) == 0 }

// Get returns the value of key, nil when there is none.
func (o *Object) Get(key string) any { return o.values[key] }

// Object returns the object at key, and puts an empty one there when there is none.
func (o *Object) Object(key string) (*Object, error) {
	switch value := o.values[key].(type) {
	case nil:
		child := NewObject()
		o.Set(key, child)
		return child, nil
	case *Object:
		return value, nil
	default:
		return nil, fmt.Errorf("%q is not an object", key)
	}
}

// Array returns the array at key, nil when there is none.
func (o *Object) Array(key string) ([]any, error) {
	switch value := o.values[key].(type) {
	case nil:
		return nil, nil
	case []any:
		return value, nil
	default:
		return nil, fmt.Errorf("%q is not an array", key)
	}
}

// String returns the string at key, empty when there is none.
func (o *Object) String(key string) string {
	text, _ := o.values[key].(string)
	return text
}

// Set gives key a value; a key that exists keeps its place.
func (o *Object) Set(key string, value any) *Object {
	if _, exists := o.values[key]; !exists {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
	return o
}

// Delete removes key.
func (o *Object) Delete(key string) {
	if _, exists := o.values[key]; !exists {
		return
	}
	delete(o.values, key)
	for i, k := range o.keys {
		if k == key {
			o.keys = append(o.keys[:i], o.keys[i+1:]...)
			return
		}
	}
}

// Decode reads one JSON object.
func Decode(data []byte) (*Object, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := decode(decoder)
	if err != nil {
		return nil, err
	}
	object, isObject := value.(*Object)
	if !isObject {
		return nil, errors.New("not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return object, nil
}

func decode(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	delim, isDelim := token.(json.Delim)
	if !isDelim {
		return token, nil
	}
	if delim == '[' {
		array := []any{}
		for decoder.More() {
			value, err := decode(decoder)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		_, err := decoder.Token()
		return array, err
	}
	object := NewObject()
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		value, err := decode(decoder)
		if err != nil {
			return nil, err
		}
		object.Set(key.(string), value)
	}
	_, err = decoder.Token()
	return object, err
}

// Encode writes the object as jq does, without a newline at the end.
func Encode(object *Object) []byte {
	var out bytes.Buffer
	encode(&out, object, "\n")
	return out.Bytes()
}

func encode(out *bytes.Buffer, value any, newline string) {
	inner := newline + "  "
	switch value := value.(type) {
	case *Object:
		if len(value.keys) == 0 {
			out.WriteString("{}")
			return
		}
		separator := "{"
		for _, key := range value.keys {
			out.WriteString(separator + inner)
			encodeString(out, key)
			out.WriteString(": ")
			encode(out, value.values[key], inner)
			separator = ","
		}
		out.WriteString(newline + "}")
	case []any:
		if len(value) == 0 {
			out.WriteString("[]")
			return
		}
		separator := "["
		for _, element := range value {
			out.WriteString(separator + inner)
			encode(out, element, inner)
			separator = ","
		}
		out.WriteString(newline + "]")
	case string:
		encodeString(out, value)
	case nil:
		out.WriteString("null")
	default: // bool, json.Number or an integer
		fmt.Fprint(out, value)
	}
}

var escapes = strings.NewReplacer(func() []string {
	pairs := []string{`"`, `\"`, `\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x7f", `\u007f`}
	for c := range 0x20 {
		pairs = append(pairs, string(rune(c)), fmt.Sprintf(`\u%04x`, c)) // the first pair of a character wins
	}
	return pairs
}()...)

func encodeString(out *bytes.Buffer, text string) {
	out.WriteByte('"')
	out.WriteString(escapes.Replace(strings.ToValidUTF8(text, "\ufffd")))
	out.WriteByte('"')
}
