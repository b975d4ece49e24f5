/* global Hls */
const { source, video, fail, cap, turn } = window.testPage
const hls = new Hls()
hls.on(Hls.Events.ERROR, (_event, data) => {
  if (data.fatal) fail(`${data.type}: ${data.details}`)
})
hls.on(Hls.Events.MANIFEST_PARSED, () => {
  if (cap) hls.autoLevelCapping = hls.levels.findLastIndex((level) => level.height <= cap)
  if (turn) setInterval(() => (hls.loadLevel = (hls.loadLevel + 1) % hls.levels.length), turn * 1_000)
})
hls.loadSource(source)
hls.attachMedia(video)
window.testPage.latency = () => hls.latency
video.play().catch((error) => error.name === 'AbortError' || fail(error))
