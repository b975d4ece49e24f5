/* global videojs */
const { source, video, fail, cap, turn } = window.testPage
const player = videojs(video, { muted: true, autoplay: true, html5: { vhs: { overrideNative: true } } })
player.on('error', () => fail(player.error()))
player.one('loadedmetadata', () => {
  const { vhs } = player.tech({ IWillNotUseThisInPlugins: true })
  for (const one of vhs.representations()) if (cap && one.height > cap) one.enabled(false)
  if (!turn) return
  // What it chooses by is replaced, so that it changes as it does by itself.
  const playlists = vhs.playlists.main.playlists.filter((one) => one.attributes.RESOLUTION)
  playlists.sort((a, b) => a.attributes.RESOLUTION.height - b.attributes.RESOLUTION.height)
  let now = 0
  vhs.selectPlaylist = () => playlists[now]
  setInterval(() => (now = (now + 1) % playlists.length), turn * 1_000)
})
player.src({ src: source, type: 'application/vnd.apple.mpegurl' })
