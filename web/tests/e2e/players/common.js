// Shared by the pages of other players: the element, what they call latency, and their errors.

const element = document.querySelector('video')
element.muted = true

const query = new URLSearchParams(location.search)

const page = {
  source: query.get('src'),
  /** Most lines of picture that the player may choose; 0: any. */
  cap: Number(query.get('cap')),
  /** Seconds after which it is made to play the next quality, again and again; 0: it chooses by itself. */
  turn: Number(query.get('turn')),
  video: element,
  /** Fatal errors, as text. */
  errors: [],
  /** Seconds behind the live edge, in the player's own opinion; its page fills it in. */
  latency: () => null,
  /** When the stream was asked for, as performance.now tells, and the energy of the sound heard; of pages that say so. */
  requested: null,
  energy: null,
  fail: (error) => page.errors.push(String(error?.message ?? error)),
}
window.testPage = page
