/* global Hls */
const { source, video, fail, dateBy } = window.testPage
const hls = new Hls()
hls.on(Hls.Events.ERROR, (_event, data) => {
  if (data.fatal) fail(`${data.type}: ${data.details}`)
})
hls.loadSource(source)
hls.attachMedia(video)
dateBy(() => hls.playingDate)
video.play().catch(fail)
window.player = hls
