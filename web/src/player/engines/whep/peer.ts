import { pause } from '@/lib/backoff'
import { type Reading, readingOf } from './path'
import { fragmentOf, restarted } from './sdp'
import type { Session, Signalling } from './signalling'

/** Milliseconds in which candidates are gathered into one request. */
const gather = 50
/** Milliseconds that a connection may be without answers until it counts as lost; a change of network takes less. */
const patience = 1_500

/** One RTCPeerConnection and the session that the server keeps for it. */
export class Peer {
  readonly stream = new MediaStream()
  private session: Session | null = null
  private candidates: string[] = []
  private gathered = false
  private trickling = false
  /** The server takes no candidates. */
  private mute = false

  constructor(
    readonly pc: RTCPeerConnection,
    private readonly signalling: Signalling,
    private readonly signal: AbortSignal,
  ) {
    pc.addEventListener('track', ({ track }) => this.stream.addTrack(track))
    pc.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate?.candidate) this.candidates.push(candidate.candidate)
      else this.gathered = true
      void this.trickle()
    })
  }

  /**
   * Asks the server for a session. The offer is set only after it is answered: the answer may name ICE servers, and
   * candidates are gathered from when the offer is set.
   */
  async open(): Promise<void> {
    const { pc } = this
    pc.addTransceiver('video', { direction: 'recvonly' })
    pc.addTransceiver('audio', { direction: 'recvonly' })
    const offer = await pc.createOffer()
    const session = await this.signalling.offer(offer.sdp ?? '', this.signal)
    this.session = session
    if (session.iceServers.length > 0) pc.setConfiguration({ iceServers: session.iceServers })
    await pc.setLocalDescription(offer)
    await pc.setRemoteDescription({ type: 'answer', sdp: session.answer })
  }

  /** Begins a new ICE session in the same connection, as after a change of network. */
  async restart(): Promise<void> {
    const { pc, session } = this
    if (!session) return
    const offer = await pc.createOffer({ iceRestart: true })
    // Held back until the server has told the new session's tag.
    this.session = null
    try {
      this.candidates = []
      this.gathered = false
      await pc.setLocalDescription(offer)
      const { fragment, etag } = await this.signalling.restart(
        session,
        fragmentOf(offer.sdp ?? '', [], false),
        this.signal,
      )
      session.etag = etag
      session.answer = restarted(session.answer, fragment)
      await pc.setRemoteDescription({ type: 'answer', sdp: session.answer })
    } finally {
      this.session = session
    }
    void this.trickle()
  }

  /** Whether the connection comes up within `ms`. */
  async connects(ms: number): Promise<boolean> {
    await this.until(({ connectionState: s }) => s === 'connected' || s === 'failed' || s === 'closed', ms)
    return this.pc.connectionState === 'connected'
  }

  /** Resolves once the connection is lost, or the signal aborts. */
  async lost(): Promise<void> {
    for (;;) {
      await this.until(({ connectionState }) => connectionState !== 'connected')
      // The browser may find its way back by itself.
      if (this.signal.aborted || !(await this.connects(patience))) return
    }
  }

  async reading(): Promise<Reading> {
    const { pc } = this
    const video = pc.getReceivers().find(({ track }) => track.kind === 'video')
    return readingOf(await pc.getStats(), video?.getSynchronizationSources()[0]?.rtpTimestamp ?? null)
  }

  /** Ends both sides. The server hears of it first, or it would take the connection for lost and the DELETE for late. */
  close(): void {
    const { pc, session } = this
    this.session = null
    if (session) void this.signalling.end(session).finally(() => pc.close())
    else pc.close()
  }

  private until(is: (pc: RTCPeerConnection) => boolean, ms?: number): Promise<void> {
    const { pc, signal } = this
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(done, ms)
      pc.addEventListener('connectionstatechange', look)
      signal.addEventListener('abort', done)
      function look() {
        if (signal.aborted || is(pc)) done()
      }
      function done() {
        clearTimeout(timer)
        pc.removeEventListener('connectionstatechange', look)
        signal.removeEventListener('abort', done)
        resolve()
      }
      look()
    })
  }

  /** Most connections are up before it is of use: the server learns our address from the checks that reach it. */
  private async trickle(): Promise<void> {
    if (this.trickling) return
    this.trickling = true
    await pause(gather, this.signal)
    this.trickling = false
    const { pc, session, candidates, signal } = this
    if (!session || this.mute || signal.aborted || pc.connectionState === 'connected') return
    if (candidates.length === 0 && !this.gathered) return
    this.candidates = []
    const fragment = fragmentOf(pc.localDescription?.sdp ?? '', candidates, this.gathered)
    // What is not told costs a way to connect, not the connection.
    this.mute = !(await this.signalling.trickle(session, fragment, signal).catch(() => true))
  }
}
