/* global videojs */
const { source, video, fail } = window.testPage
const player = videojs(video, { muted: true, autoplay: true, html5: { vhs: { overrideNative: true } } })
player.on('error', () => fail(player.error()))
player.src({ src: source, type: 'application/vnd.apple.mpegurl' })
