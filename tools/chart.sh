#!/bin/sh
# chart.sh RESULTS MEASURE PAIRS BYTES [SUBJECT...]: what shoal-bench --json has written, as bars.
#
# The medians of MEASURE ("one way", "round trip, both asleep", ...) with so many producers, as many consumers, and bytes,
# of all subjects or of those named, best first. A rate is in messages a second, a round trip in microseconds.
# SVG=FILE in the environment draws the same into that file too.
set -eu

results=$1 measure=$2 pairs=$3 bytes=$4
shift 4
for subject do echo "$subject"; done | awk -v measure="$measure" -v pairs="$pairs" -v bytes="$bytes" -v svg="${SVG:-}" '
	function text(name,    at) {
		at = index($0, "\"" name "\": \"")
		return at ? substr($0, at + length(name) + 5, index(substr($0, at + length(name) + 5), "\"") - 1) : ""
	}
	function number(name,    at) {
		at = index($0, "\"" name "\": ")
		return at ? substr($0, at + length(name) + 4) + 0 : 0
	}
	# The middle one of the samples of the series that has just ended.
	function finish(    i, j, x) {
		if (!wanted || !samples)
			return
		for (i = 2; i <= samples; i++) {
			x = sample[i]
			for (j = i - 1; j > 0 && sample[j] > x; j--)
				sample[j + 1] = sample[j]
			sample[j + 1] = x
		}
		name[++count] = subject
		value[count] = sample[int((samples + 1) / 2)]
		samples = 0
	}
	function say(x) {
		if (!rate)
			return sprintf("%.2f us", x)
		return x >= 1 ? sprintf("%.1f M/s", x) : sprintf("%.0f k/s", x * 1000)
	}
	function escape(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); return s }
	BEGIN { rate = measure !~ /round trip|handed|killed/; unit = rate ? "million_per_s" : "p50_us" }
	FILENAME == "-" { only[$0] = 1; chosen++; next }
	/"kernel":/ { kernel = text("kernel") }
	/"processors":/ { processors = number("processors"); load = number("load") }
	/"subject":/ {
		finish()
		subject = text("subject")
		wanted = text("measure") == measure && number("producers") == pairs && number("consumers") == pairs && number("bytes") == bytes
		wanted = wanted && (!chosen || subject in only)
	}
	/"ok": true/ && wanted { sample[++samples] = number(unit) }
	END {
		finish()
		if (!count) {
			print "chart: no such series" > "/dev/stderr"
			exit 1
		}
		for (i = 2; i <= count; i++)
			for (j = i; j > 1 && (rate ? value[j] > value[j - 1] : value[j] < value[j - 1]); j--) {
				x = value[j]; value[j] = value[j - 1]; value[j - 1] = x
				s = name[j]; name[j] = name[j - 1]; name[j - 1] = s
			}
		for (i = 1; i <= count; i++)
			if (value[i] > most)
				most = value[i]
		title = sprintf("%s, %d bytes, %d:%d, %d processors, load %.1f, %s", measure, bytes, pairs, pairs, processors, load, kernel)
		print title
		for (i = 1; i <= count; i++) {
			bar = ""
			for (j = 0; j < int(value[i] / most * 40 + 0.5); j++)
				bar = bar "#"
			printf "%-22s %-40s %s\n", name[i], bar, say(value[i])
		}
		if (svg == "")
			exit
		printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"%d\" font-family=\"sans-serif\" font-size=\"14\">\n", 40 + 26 * count > svg
		printf "<text x=\"0\" y=\"18\" fill=\"#555\">%s</text>\n", escape(title) > svg
		for (i = 1; i <= count; i++) {
			y = 30 + 26 * (i - 1)
			width = value[i] / most * 400
			printf "<text x=\"160\" y=\"%d\" text-anchor=\"end\">%s</text>\n", y + 16, escape(name[i]) > svg
			printf "<rect x=\"168\" y=\"%d\" width=\"%.1f\" height=\"20\" fill=\"%s\"/>\n", y, width, name[i] ~ /^shoal/ ? "#2a7ab8" : "#b0b0b0" > svg
			printf "<text x=\"%.1f\" y=\"%d\">%s</text>\n", 174 + width, y + 16, say(value[i]) > svg
		}
		print "</svg>" > svg
	}' - "$results"
