// Shared by the pages of other players: the element, the statistics that tests read, and what counts as a stall.

const address = new URLSearchParams(location.search).get('src')
const element = document.querySelector('video')
element.muted = true

/** Seconds behind the wall clock by the stream's own dates; the page's player fills it in. */
let programDate = () => null
const errors = []
let stalls = 0
let playing = false

element.addEventListener('playing', () => (playing = true))
element.addEventListener('waiting', () => {
  if (playing) stalls++
})

window.stats = {
  get currentTime() {
    return element.currentTime
  },
  get latency() {
    const date = programDate()
    return date ? (Date.now() - date.getTime()) / 1000 : null
  },
  get stalls() {
    return stalls
  },
  get decodedFrames() {
    return element.getVideoPlaybackQuality().totalVideoFrames
  },
  get droppedFrames() {
    return element.getVideoPlaybackQuality().droppedVideoFrames
  },
  get errors() {
    return errors
  },
}

window.testPage = {
  source: address,
  video: element,
  fail: (text) => errors.push(String(text)),
  dateBy: (read) => (programDate = read),
}
