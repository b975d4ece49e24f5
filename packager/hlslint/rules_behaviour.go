package hlslint

func reloadRules() []Rule {
	const s = SubjectReload
	return []Rule{
		{ID: "targetduration-changed", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "EXT-X-TARGETDURATION never changes."},
		{ID: "part-target-changed", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "PART-TARGET never changes."},
		{ID: "server-control-changed", Level: Should, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "EXT-X-SERVER-CONTROL never changes; Apple's player stops on it."},
		{ID: "sequence-backwards", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "EXT-X-MEDIA-SEQUENCE never falls."},
		{ID: "segment-changed", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "A listed segment keeps its number, URI, duration and tags until it is removed."},
		{ID: "part-changed", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "A listed part keeps its URI, duration and attributes until it is removed."},
		{ID: "tail-removed", Level: Must, Section: "rfc8216bis 6.2.2", Subject: s, Text: "Segments and parts are removed from the front only."},
		{ID: "discontinuity-sequence-wrong", Level: Must, Section: "rfc8216bis 6.2.2", Subject: s, Text: "EXT-X-DISCONTINUITY-SEQUENCE counts every EXT-X-DISCONTINUITY that left the playlist, and only those."},
		{ID: "event-removed", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "A playlist of type EVENT loses no segment."},
		{ID: "changed-after-end", Level: Must, Section: "rfc8216bis 4.4.3.4", Subject: s, Text: "After EXT-X-ENDLIST, or with type VOD, no segment is added and the tag stays."},
		{ID: "window-too-short", Level: Must, Section: "rfc8216bis 6.2.2", Subject: s, Text: "Removing segments leaves a live playlist of at least three target durations."},
		{ID: "window-under-six", Level: Should, Section: "Apple 8.11", Subject: s, Text: "Removing segments leaves at least six in a live playlist."},
		{ID: "update-late", Level: Must, Section: "rfc8216bis 6.2.2", Subject: s, Text: "A live playlist has a new segment at the latest 1.5 target durations after the one before."},
		{ID: "part-late", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "A new part is listed within one PART-TARGET; judged at twice that and 0.2 s."},
		{ID: "preload-hint-wrong", Level: Must, Section: "rfc8216bis 4.4.5.3", Subject: s, Text: "The part that follows has the URI that was hinted."},
		{ID: "delta-refused", Level: Must, Section: "rfc8216bis 6.2.5.1", Subject: s, Text: "With CAN-SKIP-UNTIL a request with _HLS_skip is answered by EXT-X-SKIP when there is something to skip."},
		{ID: "delta-mismatch", Level: Must, Section: "rfc8216bis 6.2.5.1", Subject: s, Text: "A delta update, put onto the playlist before it, gives the full playlist."},
		{ID: "delta-skips-too-much", Level: Must, Section: "rfc8216bis 6.2.5.1", Subject: s, Text: "Only segments further from the end than the skip boundary are skipped."},
	}
}

func renditionRules() []Rule {
	const s = SubjectRenditions
	return []Rule{
		{ID: "targetduration-differs", Level: Must, Section: "rfc8216bis 6.2.4", Subject: s, Text: "All media playlists of a presentation have one target duration."},
		{ID: "server-control-differs", Level: Should, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "All live media playlists have the same EXT-X-SERVER-CONTROL."},
		{ID: "discontinuity-differs", Level: Must, Section: "rfc8216bis 6.2.4", Subject: s, Text: "Matching content has the same discontinuity sequence number in all playlists."},
		{ID: "boundaries-differ", Level: Should, Section: "Apple 8.22", Subject: s, Text: "Segments of one number start at one date in all playlists, within 100 ms."},
		{ID: "endlist-differs", Level: Should, Section: "rfc8216bis 6.2.4", Subject: s, Text: "All media playlists of a presentation are live or all are ended."},
		{ID: "duration-differs", Level: Should, Section: "Apple 8.3", Subject: s, Text: "Ended media playlists cover the same time, within half a target duration."},
		{ID: "pdt-not-everywhere", Level: Must, Section: "rfc8216bis 6.2.4", Subject: s, Text: "If one media playlist has dates all have."},
		{ID: "pdt-mapping-differs", Level: Must, Section: "rfc8216bis 6.2.4", Subject: s, Text: "All media playlists map media time to dates by one constant, within 20 ms, between discontinuities."},
		{ID: "renditions-apart", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "Live renditions stay within one segment of each other."},
		{ID: "rendition-report-behind", Level: Must, Section: "rfc8216bis 4.4.5.4", Subject: s, Text: "A report is as new as the playlist that it stands in."},
		{ID: "rendition-report-ahead", Level: Must, Section: "rfc8216bis 4.4.5.4", Subject: s, Text: "A report claims nothing that its playlist does not list."},
	}
}

func httpRules() []Rule {
	const s = SubjectHTTP
	return []Rule{
		{ID: "playlist-unreachable", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "Every media playlist that is named answers 200."},
		{ID: "media-unreachable", Level: Must, Section: "rfc8216bis 6.2.1", Subject: s, Text: "Every listed segment, part and initialization section that is not a gap answers 200."},
		{ID: "playlist-unidentifiable", Level: Must, Section: "rfc8216bis 4", Subject: s, Text: "A playlist is known by its path (.m3u8, .m3u) or by its content type."},
		{ID: "playlist-content-type", Level: Should, Section: "rfc8216bis 4, Apple 10.4", Subject: s, Text: "Playlists have the type application/vnd.apple.mpegurl or audio/mpegurl."},
		{ID: "media-content-type", Level: Should, Section: "Apple 10.4", Subject: s, Text: "Media has the content type of its format."},
		{ID: "gzip-missing", Level: Should, Section: "Apple 10.1", Subject: s, Text: "Playlists are compressed with gzip for those who accept it."},
		{ID: "cors-missing", Level: Should, Section: "Fetch standard 3.2", Subject: s, Text: "Playlists and media may be read by web pages of other origins."},
		{ID: "redirect", Level: Should, Section: "Apple 8.18", Subject: s, Text: "Media requests are answered without redirects."},
		{ID: "http2-missing", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "A low-latency origin over TLS speaks HTTP/2 or later."},
		{ID: "cache-playlist", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "A live playlist without directives may be cached for half a target duration at most."},
		{ID: "cache-blocking", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "A successful answer to directives may be cached for six target durations."},
		{ID: "cache-media", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "Media of a low-latency stream may be cached for at least six target durations."},
		{ID: "cache-error", Level: Should, Section: "rfc8216bis B.1", Subject: s, Text: "An error may be cached for one target duration at most, to a request with directives for four."},
		{ID: "head-differs", Level: Should, Section: "RFC 9110 9.3.2", Subject: s, Text: "HEAD has the status and content type of GET."},
		{ID: "range-unsupported", Level: Should, Section: "RFC 9110 14.2", Subject: s, Text: "A byte range of a segment is answered by 206."},
		{ID: "range-wrong", Level: Must, Section: "RFC 9110 15.3.7", Subject: s, Text: "A 206 holds exactly the bytes that it names."},
		{ID: "conditional-ignored", Level: Should, Section: "RFC 9110 13.1.2", Subject: s, Text: "If-None-Match with the current ETag is answered by 304."},
		{ID: "missing-not-404", Level: Should, Section: "RFC 9110 15.5.5", Subject: s, Text: "A name that never existed is answered by 404 or 410."},
		{ID: "missing-is-html", Level: Should, Section: "rfc8216bis 6.2.1", Subject: s, Text: "An error for a media name is not an HTML page with status 200."},
		{ID: "part-without-msn", Level: Must, Section: "rfc8216bis 6.2.5.2", Subject: s, Text: "_HLS_part without _HLS_msn is answered by 400."},
		{ID: "msn-too-far", Level: Should, Section: "rfc8216bis 6.2.5.2", Subject: s, Text: "An _HLS_msn more than two beyond the last segment is answered by 400 at once."},
		{ID: "msn-old-refused", Level: Must, Section: "rfc8216bis 6.2.5.2", Subject: s, Text: "An _HLS_msn that is in the playlist or older is answered at once by the current playlist."},
		{ID: "unknown-parameter", Level: Should, Section: "rfc8216bis 6.2.5", Subject: s, Text: "An unknown query parameter does not change the answer."},
		{ID: "block-unsatisfied", Level: Must, Section: "rfc8216bis 6.2.5.2", Subject: s, Text: "A 200 to a blocking reload has the segment or part that was asked for."},
		{ID: "block-refused", Level: Must, Section: "rfc8216bis 6.2.5.2", Subject: s, Text: "A blocking reload for the next part or segment is answered by a playlist."},
		{ID: "block-too-long", Level: Should, Section: "rfc8216bis 6.2.5.2", Subject: s, Text: "A request is not held over three target durations."},
		{ID: "preload-hint-refused", Level: Must, Section: "rfc8216bis 6.2.6", Subject: s, Text: "A request for what is hinted is held until it can be answered, never refused early."},
		{ID: "preload-hint-bytes", Level: Must, Section: "rfc8216bis 6.2.6", Subject: s, Text: "What the hint gave is what the part has once it is listed."},
		{ID: "removed-too-soon", Level: Must, Section: "rfc8216bis 6.2.2", Subject: s, Text: "A removed segment can be had for its own duration more."},
	}
}

func sampleRules() []Rule {
	const s = SubjectSamples
	return []Rule{
		{ID: "segment-format", Level: Must, Section: "rfc8216bis 3.1", Subject: s, Text: "A segment is fragmented MP4, MPEG-TS, packed audio, WebVTT or IMSC."},
		{ID: "mp4-malformed", Level: Must, Section: "ISO/IEC 14496-12 4.2", Subject: s, Text: "Boxes nest within their sizes, and samples lie within the data."},
		{ID: "init-invalid", Level: Must, Section: "rfc8216bis 3.1.2", Subject: s, Text: "An initialization section has ftyp and moov with tracks, trex, and no samples."},
		{ID: "tfdt-missing", Level: Must, Section: "rfc8216bis 3.1.2", Subject: s, Text: "Every track fragment has a decode time (tfdt)."},
		{ID: "track-unknown", Level: Must, Section: "rfc8216bis 3.1.2", Subject: s, Text: "A fragment's track is one of the initialization section."},
		{ID: "absolute-offsets", Level: Must, Section: "rfc8216bis 3.1.2", Subject: s, Text: "Fragments address their data relative to the moof (default-base-is-moof, no base-data-offset)."},
		{ID: "extinf-wrong", Level: Must, Section: "rfc8216bis 4.4.4.1", Subject: s, Text: "EXTINF is the duration of the samples, within a frame and 20 ms."},
		{ID: "extinf-drift", Level: Should, Section: "Apple 8.1", Subject: s, Text: "The sum of EXTINF over contiguous segments stays within one frame of the samples."},
		{ID: "part-duration-wrong", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "A part's DURATION is the duration of its samples, within 5 ms."},
		{ID: "decode-time-gap", Level: Must, Section: "rfc8216bis 4.4.4.3, Apple 7.3", Subject: s, Text: "Without a discontinuity a segment's decode time is where the one before ended, within 10 ms."},
		{ID: "part-decode-time-gap", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "A part's decode time is where the part before ended, within 10 ms."},
		{ID: "parts-bytes-differ", Level: Should, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "The parts of a segment, one after the other, are its bytes."},
		{ID: "parts-samples-differ", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "The parts of a segment have its samples."},
		{ID: "pdt-mapping-drifts", Level: Must, Section: "rfc8216bis 4.4.4.6", Subject: s, Text: "Within a playlist, date minus media time is constant between discontinuities, within 20 ms."},
		{ID: "independent-false", Level: Must, Section: "rfc8216bis 4.4.2.1", Subject: s, Text: "With EXT-X-INDEPENDENT-SEGMENTS every video segment starts with a picture that needs no other."},
		{ID: "segment-not-idr", Level: Should, Section: "Apple 7.4", Subject: s, Text: "Video segments start with an IDR picture."},
		{ID: "part-independent-false", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "A part with INDEPENDENT=YES has an independent picture."},
		{ID: "part-independent-late", Level: Should, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "A part with INDEPENDENT=YES starts with its independent picture; players need that."},
		{ID: "part-independent-unsaid", Level: Should, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "A part that starts with an independent picture says INDEPENDENT=YES."},
		{ID: "sync-flag-false", Level: Must, Section: "ISO/IEC 14496-12 8.8.3.1", Subject: s, Text: "A sample that is flagged as sync is an independent picture."},
		{ID: "sync-flag-missing", Level: Should, Section: "ISO/IEC 14496-12 8.8.3.1", Subject: s, Text: "An IDR picture is flagged as sync sample."},
		{ID: "codecs-wrong", Level: Must, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "CODECS has every format of the variant's media, with its profile."},
		{ID: "codecs-inexact", Level: Should, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "CODECS has the constraint flags, tier and level of the initialization section."},
		{ID: "resolution-wrong", Level: Should, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "RESOLUTION is the picture size."},
		{ID: "frame-rate-wrong", Level: Should, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "FRAME-RATE is the largest frame rate of the samples, within 2 %."},
		{ID: "video-range-wrong", Level: Must, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "VIDEO-RANGE is what the transfer characteristics say."},
		{ID: "bandwidth-under-peak", Level: Must, Section: "rfc8216bis 4.4.6.2, Apple 1.27", Subject: s, Text: "On demand, the measured peak of the segment bit rate is at most 110 % of BANDWIDTH."},
		{ID: "bandwidth-under-live-peak", Level: Should, Section: "Apple 1.29", Subject: s, Text: "Live, the measured peak of the segment bit rate is less than 125 % of BANDWIDTH."},
		{ID: "average-bandwidth-wrong", Level: Should, Section: "rfc8216bis 4.4.6.2, Apple 1.26", Subject: s, Text: "On demand, the measured average is at most 110 % of AVERAGE-BANDWIDTH."},
		{ID: "bitrate-wrong", Level: Must, Section: "rfc8216bis 4.4.4.8", Subject: s, Text: "EXT-X-BITRATE is within 10 % of the segment's bit rate."},
	}
}
