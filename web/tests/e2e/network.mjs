// What a page asks for: numbers of the reloads, protocols and failures, as the browser's own network log tells them.

const directive = (url, name) => Number(url.searchParams.get(name) ?? NaN)

/** Watches a page's requests from now on; `seen` fills while it plays. */
export async function watchNetwork(page) {
  const seen = {
    requests: 0,
    reloads: 0,
    /** Highest number asked for by a blocking reload. */
    msn: null,
    /** Times that a playlist was asked for a lower number than before. */
    back: 0,
    /** Answers by protocol: h2, http/1.1. */
    protocols: {},
    /** Answers from 400 on, by status. */
    refused: {},
    failed: 0,
  }
  const asked = new Map()
  const session = await page.context().newCDPSession(page)
  await session.send('Network.enable')
  session.on('Network.requestWillBeSent', ({ request }) => {
    const url = new URL(request.url)
    if (!url.protocol.startsWith('http')) return
    seen.requests++
    const msn = directive(url, '_HLS_msn')
    if (Number.isNaN(msn)) return
    seen.reloads++
    if (msn < (asked.get(url.pathname) ?? 0)) seen.back++
    asked.set(url.pathname, msn)
    seen.msn = Math.max(seen.msn ?? 0, msn)
  })
  session.on('Network.responseReceived', ({ response }) => {
    if (!response.url.startsWith('http')) return
    // The documentation's name for a version that was negotiated is its ALPN identifier.
    if (!response.fromDiskCache)
      seen.protocols[response.protocol] = (seen.protocols[response.protocol] ?? 0) + 1
    if (response.status >= 400) seen.refused[response.status] = (seen.refused[response.status] ?? 0) + 1
  })
  session.on('Network.loadingFailed', ({ canceled }) => canceled || seen.failed++)
  return seen
}
