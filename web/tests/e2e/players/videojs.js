/* global videojs */
const { source, video, fail, dateBy } = window.testPage
const player = videojs(video, {
  controls: false,
  muted: true,
  autoplay: true,
  html5: { vhs: { overrideNative: true } },
})
player.on('error', () => fail(player.error()?.message))
player.src({ src: source, type: 'application/vnd.apple.mpegurl' })
let date = null
setInterval(() => {
  const vhs = player.tech({ IWillNotUseThisInPlugins: true })?.vhs
  vhs?.convertToProgramTime?.(player.currentTime(), (error, result) => {
    if (!error) date = { date: new Date(result.programDateTime).getTime(), at: player.currentTime() }
  })
}, 200)
// Between two conversions the picture has moved on.
dateBy(() => date && new Date(date.date + (player.currentTime() - date.at) * 1000))
window.player = player
