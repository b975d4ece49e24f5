// Runs before a page's own scripts and watches its video element; play.mjs takes what it saw several times a second.
// Nothing here changes what a player does.
;(() => {
  /** Milliseconds between two looks. */
  const every = 50
  /** Milliseconds without a new picture that count as a stall. */
  const stallAfter = 500
  /** The stamp of every picture costs too much: each nth is read, and all that follow a pause. */
  const readEach = 3
  const pause = 300
  /** A stamp this many milliseconds from the one before shows pictures of another time. */
  const leapAfter = 1_000

  const sum = { decoded: 0, dropped: 0, audioBytes: 0, waits: 0, stalls: 0, stalledMs: 0, ticks: 0 }
  const seen = { total: 0, dropped: 0, audio: 0, at: 0, tick: 0, pictureAt: 0, pictures: 0 }
  let video = null
  let stall = null
  let stamp = null
  let first = null
  let late = 0
  let events = []

  const tell = (type, detail) => events.length < 1_000 && events.push({ type, at: Date.now(), ...detail })

  function adopt(found) {
    video = found
    seen.at = Date.now()
    video.addEventListener('waiting', () => first === null || sum.waits++)
    const onPicture = () => {
      if (video !== found) return
      picture()
      found.requestVideoFrameCallback(onPicture)
    }
    found.requestVideoFrameCallback(onPicture)
  }

  function begin() {
    if (first !== null) return
    first = performance.now()
    tell('first', { ms: first })
  }

  function picture() {
    const at = Date.now()
    begin()
    const paused = at - seen.pictureAt > pause
    seen.pictureAt = at
    if (!paused && seen.pictures++ % readEach) return
    const made = readStamp()
    if (made === null) return
    if (stamp && Math.abs(made - stamp.made) > leapAfter)
      tell('leap', { made, before: stamp.made, beforeAt: stamp.at })
    stamp = { at, made, delay: at - made }
  }

  const canvas = document.createElement('canvas')
  const context = canvas.getContext('2d', { willReadFrequently: true })

  /** Unix milliseconds that internal/stamp painted into the picture, null where there are none. */
  function readStamp() {
    const width = video.videoWidth
    if (!width || width % 64) return null
    const block = width / 64
    if (canvas.width !== width || canvas.height !== block) Object.assign(canvas, { width, height: block })
    context.drawImage(video, 0, 0, width, block, 0, 0, width, block)
    const row = context.getImageData(0, Math.floor(block / 2), width, 1).data
    const bytes = [0, 0, 0, 0, 0, 0, 0, 0]
    for (let bit = 0; bit < 64; bit++) {
      if (row[Math.floor((bit + 0.5) * block) * 4 + 1] > 127) bytes[bit >> 3] |= 0x80 >> (bit & 7)
    }
    const [magic, ...rest] = bytes
    const check = rest.pop()
    if (magic !== 0xa5 || rest.reduce((a, b) => a + b) % 256 !== check) return null
    return rest.reduce((time, byte) => time * 256 + byte)
  }

  function look() {
    const now = Date.now()
    const lateness = seen.tick ? now - seen.tick - every : 0
    late = Math.max(late, lateness)
    if (stall) stall.late = Math.max(stall.late, lateness)
    seen.tick = now
    sum.ticks++
    const found = document.querySelector('.player video') ?? document.querySelector('video')
    if (found && found !== video) adopt(found)
    if (!video) return
    const quality = video.getVideoPlaybackQuality()
    const fresh = grow('total', 'decoded', quality.totalVideoFrames)
    grow('dropped', 'dropped', quality.droppedVideoFrames)
    const heard = grow('audio', 'audioBytes', video.webkitAudioDecodedByteCount ?? 0)
    // Sound alone has no pictures to count.
    const silent = video.videoWidth > 0 || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA
    if (fresh > 0 || (!silent && heard > 0)) {
      if (!silent) begin()
      seen.at = now
    }
    watchStall(now, lateness)
  }

  /** Adds what a counter of the element has grown by; a new source starts it again. */
  function grow(counter, total, value) {
    const more = value < seen[counter] ? value : value - seen[counter]
    seen[counter] = value
    sum[total] += more
    return more
  }

  /** A stall says how late the page's own timer was meanwhile: where it was, the machine stood, not the player. */
  function watchStall(now, lateness) {
    const playing = first !== null && !video.paused && !video.ended
    const stands = playing && now - seen.at > stallAfter
    if (stands && !stall) {
      stall = { from: seen.at, buffer: forward(), readyState: video.readyState, late: lateness }
      sum.stalls++
    } else if (!stands && stall) {
      const ms = Math.max(seen.at, stall.from) - stall.from
      sum.stalledMs += ms
      tell('stall', { ...stall, ms })
      stall = null
    }
    if (!playing) seen.at = Math.max(seen.at, first === null ? 0 : now)
  }

  function forward() {
    const { buffered, currentTime } = video
    for (let i = 0; i < buffered.length; i++) {
      if (currentTime >= buffered.start(i) - 0.1 && currentTime <= buffered.end(i))
        return buffered.end(i) - currentTime
    }
    return 0
  }

  const number = (value) => (Number.isFinite(value) ? value : null)

  window.__probe = {
    get hasVideo() {
      return video !== null
    },
    /** What is seen now; events since the last call and the worst lateness of a timer come with it. */
    take() {
      const told = events
      const worst = late
      events = []
      late = 0
      if (!video) return { sample: null, events: told }
      const page = document.querySelector('.player')
      const badge = page?.querySelector('[data-tone]')?.textContent ?? ''
      return {
        events: told,
        sample: {
          wall: Date.now(),
          currentTime: video.currentTime,
          latency: number(
            window.testPage ? window.testPage.latency() : parseFloat(badge.replace(/^\D+/, '')),
          ),
          // A stamp that is older than the last pictures tells of the past.
          delay: stamp && Date.now() - stamp.at < pause ? stamp.delay : null,
          made: stamp?.made ?? null,
          first,
          requested: number(window.testPage?.requested),
          energy: number(window.testPage?.energy),
          ...sum,
          standing: stall ? Date.now() - stall.from : 0,
          buffer: forward(),
          rate: video.playbackRate,
          paused: video.paused,
          ended: video.ended,
          readyState: video.readyState,
          width: video.videoWidth,
          height: video.videoHeight,
          phase: page?.dataset.phase ?? null,
          way: page?.dataset.way ?? null,
          behind: page?.querySelector('[data-behind]')?.textContent ?? '',
          resume: page?.querySelector('[data-resume]')?.textContent ?? '',
          replay: document.querySelector('[data-replay]')?.getAttribute('href') ?? '',
          path: location.pathname,
          slate: page?.querySelector('[data-slate]')?.dataset.slate ?? null,
          errors: window.testPage?.errors ?? [],
          late: worst,
        },
      }
    },
  }
  setInterval(look, every)
})()
