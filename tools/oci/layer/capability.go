package layer

import (
	"archive/tar"
	"encoding/binary"
	"fmt"
)

// File capabilities as Linux keeps them: struct vfs_cap_data of linux/capability.h, revision 2.
const (
	capabilityRevision2 = 0x02000000
	capabilityEffective = 0x000001
)

// Bits of linux/capability.h that an image of ours has a use for.
var capabilities = map[string]uint{
	"cap_net_admin":        12,
	"cap_net_bind_service": 10,
	"cap_net_raw":          13,
}

// setCapability lets the program have one capability from its start: what `setcap <name>=ep` writes.
func setCapability(header *tar.Header, name string) error {
	if name == "" {
		return nil
	}
	bit, known := capabilities[name]
	if !known {
		return fmt.Errorf("unknown capability %q: add its bit to tools/oci/layer/capability.go", name)
	}
	data := make([]byte, 20)
	binary.LittleEndian.PutUint32(data, capabilityRevision2|capabilityEffective)
	binary.LittleEndian.PutUint32(data[4:], 1<<bit) // permitted; the effective bit above covers it
	header.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": string(data)}
	return nil
}
