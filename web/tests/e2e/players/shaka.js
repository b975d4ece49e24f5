/* global shaka */
const { source, video, fail, turn } = window.testPage
shaka.polyfill.installAll()
const player = new shaka.Player()
player.addEventListener('error', ({ detail }) => {
  if (detail.severity === shaka.util.Error.Severity.CRITICAL) fail(`${detail.code}: ${detail.message}`)
})
window.testPage.latency = () => player.getStats().liveLatency
async function play() {
  await player.attach(video)
  player.configure('streaming.lowLatencyMode', true)
  await player.load(source)
  await video.play()
  if (!turn) return
  player.configure('abr.enabled', false)
  setInterval(() => {
    const tracks = player.getVariantTracks().filter((track) => track.height)
    tracks.sort((a, b) => a.height - b.height)
    const now = tracks.findIndex((track) => track.active)
    player.selectVariantTrack(tracks[(now + 1) % tracks.length])
  }, turn * 1_000)
}
play().catch(fail)
