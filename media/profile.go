package media

import "strconv"

// Profile is the name of t's profile in its codec's specification, empty where it is not known.
func (t *Track) Profile() string {
	if len(t.Config) < 2 {
		return ""
	}
	switch t.Codec {
	case H264: // ISO/IEC 14496-10 annex A; avcC: version, profile, constraints, level
		constrained := len(t.Config) > 2 && t.Config[2]&0x40 != 0
		switch t.Config[1] {
		case 66:
			if constrained {
				return "Constrained Baseline"
			}
			return "Baseline"
		case 77:
			return "Main"
		case 88:
			return "Extended"
		case 100:
			return "High"
		case 110:
			return "High 10"
		case 122:
			return "High 4:2:2"
		case 244:
			return "High 4:4:4 Predictive"
		}
	case H265: // ISO/IEC 23008-2 annex A; hvcC: version, space and tier and profile
		switch t.Config[1] & 0x1f {
		case 1:
			return "Main"
		case 2:
			return "Main 10"
		case 3:
			return "Main Still Picture"
		case 4:
			return "Range Extensions"
		}
	case AV1: // AV1 specification 6.4.1; av1C: marker and version, profile and level
		switch t.Config[1] >> 5 {
		case 0:
			return "Main"
		case 1:
			return "High"
		case 2:
			return "Professional"
		}
	case VP8, VP9: // VP codec ISO media file format binding; vpcC: version and flags, profile
		if len(t.Config) > 4 {
			return "Profile " + strconv.Itoa(int(t.Config[4]))
		}
	default: // the others have none that a viewer would ask for
	}
	return ""
}
