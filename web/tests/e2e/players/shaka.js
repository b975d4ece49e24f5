/* global shaka */
const { source, video, fail } = window.testPage
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
}
play().catch(fail)
