/* global videojs */
const { source, video, fail, cap, turn } = window.testPage
const player = videojs(video, { muted: true, autoplay: true, html5: { vhs: { overrideNative: true } } })
player.on('error', () => fail(player.error()))
player.one('loadedmetadata', () => {
  if (!cap && !turn) return
  // What it chooses by is replaced, so that it changes as it does by itself.
  const { vhs } = player.tech({ IWillNotUseThisInPlugins: true })
  const lines = (playlist) => playlist.attributes.RESOLUTION?.height ?? 0
  let now = 0
  if (turn) setInterval(() => now++, turn * 1_000)
  vhs.selectPlaylist = () => {
    const playlists = vhs.playlists.main.playlists.filter((one) => lines(one) && !(cap && lines(one) > cap))
    playlists.sort((a, b) => lines(a) - lines(b))
    if (turn) return playlists[now % playlists.length]
    return playlists.filter((one) => !(one.excludeUntil > Date.now())).at(-1)
  }
})
player.src({ src: source, type: 'application/vnd.apple.mpegurl' })
