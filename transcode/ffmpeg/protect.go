package ffmpeg

// Protect are the flags that every child begins with: quiet, not asking anything, reading nothing but the pipes it was given, and
// refusing pictures and allocations that no live source has.
func Protect() []string {
	return []string{
		"-hide_banner", "-nostats", "-loglevel", "error", "-nostdin",
		"-max_alloc", "268435456", // bytes at once; a 4K picture has 12 MB
	}
}

// ProtectInput are the flags that stand before each -i.
func ProtectInput() []string {
	return []string{"-protocol_whitelist", "pipe"}
}
