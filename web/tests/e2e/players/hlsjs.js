/* global Hls */
const { source, video, fail } = window.testPage
const hls = new Hls()
hls.on(Hls.Events.ERROR, (_event, data) => {
  if (data.fatal) fail(`${data.type}: ${data.details}`)
})
hls.loadSource(source)
hls.attachMedia(video)
window.testPage.latency = () => hls.latency
video.play().catch((error) => error.name === 'AbortError' || fail(error))
