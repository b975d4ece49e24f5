// The HTTP side of WHIP and WHEP in a page (RFC 9725): one offer, one answer, no trickle. With `relay`, host:port, media goes there and not
// where the answer says.
//
// `rates` are Chromium's words in the answer about the rate that it begins with: what it finds out for itself takes seconds on a busy
// machine.
window.negotiate = async (pc, url, { headers = {}, relay, rates = '' } = {}) => {
  const changed = (sdp) => {
    let lines = sdp.split('\r\n')
    if (relay) {
      const [, host, port] = relay.match(/^(.*):(\d+)$/)
      lines = lines.filter((line) => !line.startsWith('a=candidate:'))
      const at = lines.findIndex((line) => line.startsWith('a=ice-pwd:')) // the first section's transport is everybody's
      lines.splice(at + 1, 0, `a=candidate:1 1 udp 2130706431 ${host} ${port} typ host`)
    }
    return lines.map((l) => (/^a=fmtp:.*packetization-mode/.test(l) ? l + rates : l)).join('\r\n')
  }
  await pc.setLocalDescription()
  const answer = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/sdp' },
    body: pc.localDescription.sdp,
  })
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
  const resource = new URL(answer.headers.get('Location'), url).href
  let etag = answer.headers.get('ETag')
  await pc.setRemoteDescription({ type: 'answer', sdp: changed(await answer.text()) })

  /** RFC 9725 4.3.3: a new ufrag and password go out as a fragment, and the server's come back. */
  const restart = async () => {
    pc.restartIce()
    await pc.setLocalDescription()
    const lines = pc.localDescription.sdp.split('\r\n')
    const of = (name) => lines.find((line) => line.startsWith(`a=${name}:`))
    const media = lines.find((line) => line.startsWith('m='))
    const reply = await fetch(resource, {
      method: 'PATCH',
      headers: { ...headers, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*' },
      body: [of('ice-ufrag'), of('ice-pwd'), media, of('mid'), ''].join('\r\n'),
    })
    if (reply.status !== 200) throw new Error(`restart: ${reply.status} ${await reply.text()}`)
    const was = etag
    etag = reply.headers.get('ETag')
    if (!etag || etag === was) throw new Error(`restart: the tag is still ${etag}`)
    const fragment = (await reply.text()).split('\r\n')
    const fresh = (name) => fragment.find((line) => line.startsWith(`a=${name}:`))
    const candidates = fragment.filter((line) => line.startsWith('a=candidate:'))
    const sdp = pc.currentRemoteDescription.sdp // with its candidates, which stay
      .replaceAll(/a=ice-ufrag:.*/g, fresh('ice-ufrag'))
      .replaceAll(/a=ice-pwd:.*/g, fresh('ice-pwd'))
    await pc.setRemoteDescription({ type: 'answer', sdp })
    return { etag, candidates: candidates.length }
  }
  const stop = async () => {
    const reply = await fetch(resource, { method: 'DELETE', headers })
    pc.close()
    return reply.status
  }
  return { restart, stop }
}
