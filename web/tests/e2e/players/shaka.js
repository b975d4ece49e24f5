/* global shaka */
const { source, video, fail, dateBy } = window.testPage
shaka.polyfill.installAll()
const player = new shaka.Player()
player.addEventListener('error', (event) => fail(`${event.detail.code}: ${event.detail.message}`))
dateBy(() => player.getPlayheadTimeAsDate())
player
  .attach(video)
  .then(() => {
    player.configure({ streaming: { lowLatencyMode: true } })
    return player.load(source)
  })
  .then(() => video.play())
  .catch(fail)
window.player = player
