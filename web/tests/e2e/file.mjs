// Plays a media file as a page does that has nothing but a video element:
//
//	node web/tests/e2e/file.mjs URL SHARE…
//
// Seeks to each share of the length, and plays from the last one to the end. Prints an object: duration, seeks with the time that was
// asked for and that of the picture that was shown, where it ended, and errors.
import { launch, newContext } from './lib.mjs'

const [url, ...shares] = process.argv.slice(2)
const browser = await launch()
try {
  const context = await newContext(browser)
  const page = await context.newPage()
  await page.setContent('<video muted playsinline width="640" height="360"></video>')
  const seen = await page.evaluate(
    async ({ url, shares }) => {
      const video = document.querySelector('video')
      const on = (name) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error(`waited in vain for ${name}`)), 30_000)
          video.addEventListener(name, () => (clearTimeout(timer), resolve()), { once: true })
          video.addEventListener('error', () => reject(new Error(video.error?.message)), { once: true })
        })
      // The time of the newest picture on the screen; it may be shown a moment after the seek is said to be over.
      let shown = null
      const look = (_, { mediaTime }) => {
        shown = mediaTime
        video.requestVideoFrameCallback(look)
      }
      video.requestVideoFrameCallback(look)
      const settle = async () => {
        for (let last = NaN; last !== shown;) {
          last = shown
          await new Promise((resolve) => setTimeout(resolve, 250))
        }
      }
      const ready = on('loadeddata')
      video.src = url
      await ready
      await settle()
      const seen = { duration: video.duration, width: video.videoWidth, seeks: [] }
      for (const share of shares) {
        const asked = video.duration * share
        const there = on('seeked')
        video.currentTime = asked
        await there
        await settle()
        seen.seeks.push({ asked, time: video.currentTime, picture: shown })
      }
      const ended = on('ended')
      await video.play()
      await ended
      seen.end = video.currentTime
      seen.frames = video.getVideoPlaybackQuality().totalVideoFrames
      return seen
    },
    { url, shares: shares.map(Number) },
  )
  process.stdout.write(`${JSON.stringify(seen)}\n`)
} finally {
  await browser.close()
}
