// Shared by the pages of other players: the element, what they call latency, and their errors.

const element = document.querySelector('video')
element.muted = true

const page = {
  source: new URLSearchParams(location.search).get('src'),
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
