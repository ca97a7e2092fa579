package archive

import (
	"bytes"
	"fmt"
	"os"

	"go.yaml.in/yaml/v3"

	"kubefips.internal/tools/internal/debian"
)

// ReadSets reads sets.yaml: definitions by name.
func ReadSets(name string) (map[string]debian.Definition, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var sets map[string]debian.Definition
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&sets); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for set, def := range sets {
		switch {
		case def.Why == "":
			return nil, fmt.Errorf("%s: set %s: say in `why` what it is for", name, set)
		case len(def.Suites) == 0:
			return nil, fmt.Errorf("%s: set %s: no suites", name, set)
		case len(def.Packages)+len(def.Sources) == 0:
			return nil, fmt.Errorf("%s: set %s: neither packages nor sources", name, set)
		case (len(def.Packages) > 0) != (len(def.Architectures) > 0):
			return nil, fmt.Errorf("%s: set %s: packages and architectures go together", name, set)
		}
	}
	return sets, nil
}
