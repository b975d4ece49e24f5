/** What the server made of an offer. */
export interface Session {
  answer: string
  /** Where candidates go and what is deleted at the end. */
  resource: string
  etag: string
  iceServers: RTCIceServer[]
}

/** An answer other than the wanted one. Status 0: none came. */
export class SignallingError extends Error {
  constructor(
    readonly status: number,
    /** Milliseconds until another try makes sense, by the server's word; 0 where it says nothing. */
    readonly retryAfter = 0,
  ) {
    super(`WHEP: ${status || 'unreachable'}`)
    this.name = 'SignallingError'
  }
}

const sdpType = 'application/sdp'
const fragmentType = 'application/trickle-ice-sdpfrag'
/** Milliseconds after which a request counts as lost. */
const limit = 5_000

interface Message {
  method: 'POST' | 'PATCH'
  type: string
  body: string
  /** Entity tag of the ICE session that is meant, `*` for a new one. */
  match?: string
}

/** WHEP by HTTP: POST an offer, PATCH candidates and restarts to the session that came of it, DELETE it. */
export class Signalling {
  private readonly url: string

  constructor(
    url: string,
    private readonly fetch: typeof globalThis.fetch,
  ) {
    this.url = new URL(url, globalThis.location?.href).href
  }

  async offer(sdp: string, signal: AbortSignal): Promise<Session> {
    const response = await this.ask(this.url, { method: 'POST', type: sdpType, body: sdp }, signal)
    const location = response.headers.get('location')
    if (response.status !== 201 || !location) throw refusal(response)
    return {
      answer: await response.text(),
      resource: new URL(location, response.url || this.url).href,
      etag: response.headers.get('etag') ?? '*',
      iceServers: iceServersOf(response.headers.get('link') ?? ''),
    }
  }

  /** Tells candidates; false where the server takes none, so that no more are sent. */
  async trickle(session: Session, body: string, signal: AbortSignal): Promise<boolean> {
    const message = { method: 'PATCH', type: fragmentType, body, match: session.etag } as const
    return (await this.ask(session.resource, message, signal)).ok
  }

  /** Begins a new ICE session; returns the server's side of it and its entity tag. */
  async restart(
    session: Session,
    body: string,
    signal: AbortSignal,
  ): Promise<{ fragment: string; etag: string }> {
    const message = { method: 'PATCH', type: fragmentType, body, match: '*' } as const
    const response = await this.ask(session.resource, message, signal)
    if (response.status !== 200) throw refusal(response)
    return { fragment: await response.text(), etag: response.headers.get('etag') ?? '*' }
  }

  /** Ends a session, and never rejects. It is sent even while the page goes. */
  async end(session: Session): Promise<void> {
    const signal = AbortSignal.timeout(limit)
    await this.fetch(session.resource, { method: 'DELETE', keepalive: true, signal }).catch(() => undefined)
  }

  private async ask(url: string, { method, type, body, match }: Message, signal: AbortSignal) {
    const headers = { 'Content-Type': type, ...(match && { 'If-Match': match }) }
    try {
      const both = AbortSignal.any([signal, AbortSignal.timeout(limit)])
      return await this.fetch(url, { method, headers, body, signal: both, cache: 'no-store' })
    } catch {
      signal.throwIfAborted()
      throw new SignallingError(0)
    }
  }
}

function refusal(response: Response): SignallingError {
  const seconds = Number(response.headers.get('retry-after') ?? 0)
  return new SignallingError(response.status, Number.isFinite(seconds) ? seconds * 1_000 : 0)
}

const links = /<([^>]+)>((?:\s*;\s*[\w-]+=(?:"[^"]*"|[^",;\s]+))*)/g

/** `<turn:x?transport=udp>; rel="ice-server"; username="u"; credential="c"` (RFC 9725, 4.6), several in a list. */
export function iceServersOf(link: string): RTCIceServer[] {
  const servers: RTCIceServer[] = []
  for (const [, urls = '', parameters = ''] of link.matchAll(links)) {
    const of = (name: string) => new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^",;\\s]+))`).exec(parameters)
    const value = (name: string) => of(name)?.[1] ?? of(name)?.[2]
    if (value('rel') !== 'ice-server') continue
    const username = value('username')
    servers.push({ urls, ...(username && { username, credential: value('credential') ?? '' }) })
  }
  return servers
}
