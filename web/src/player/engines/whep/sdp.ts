const lines = (sdp: string) => sdp.split(/\r?\n/).filter(Boolean)
const find = (sdp: string, start: string) => lines(sdp).find((line) => line.startsWith(start))

/**
 * The part of a description that PATCH carries (RFC 8840): ICE credentials, and candidates below the first media
 * section, since all are bundled. `end` says that there will be no more.
 */
export function fragmentOf(local: string, candidates: readonly string[], end: boolean): string {
  const media = find(local, 'm=')
  const out = [find(local, 'a=ice-ufrag:'), find(local, 'a=ice-pwd:'), media, find(local, 'a=mid:')]
  for (const candidate of candidates) out.push(`a=${candidate}`)
  if (end) out.push('a=end-of-candidates')
  return `${out.filter(Boolean).join('\r\n')}\r\n`
}

/** The answer that holds after an ICE restart: the former one with the credentials and candidates of a fragment. */
export function restarted(answer: string, fragment: string): string {
  const ufrag = find(fragment, 'a=ice-ufrag:')
  const pwd = find(fragment, 'a=ice-pwd:')
  const candidates = lines(fragment).filter((line) => /^a=(candidate:|end-of-candidates)/.test(line))
  const kept: string[] = []
  let first = true
  for (const line of lines(answer)) {
    if (/^a=(candidate:|end-of-candidates)/.test(line)) continue
    if (line.startsWith('a=ice-ufrag:') && ufrag) kept.push(ufrag)
    else if (line.startsWith('a=ice-pwd:') && pwd) kept.push(pwd)
    else kept.push(line)
    if (line.startsWith('a=mid:') && first) {
      first = false
      kept.push(...candidates)
    }
  }
  return `${kept.join('\r\n')}\r\n`
}
