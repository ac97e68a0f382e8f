// The words of PromQL: a lexer good enough to colour and to complete while someone types, and the functions with their help.

export type Kind = 'space' | 'comment' | 'string' | 'duration' | 'number' | 'function' | 'keyword' | 'metric' | 'label' | 'operator' | 'bracket' | 'bad';
export interface Token { kind: Kind; text: string; at: number; depth: number; braces: boolean }

const keywords = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'bool', 'and', 'or', 'unless', 'atan2', 'start', 'end', 'inf', 'nan']);
const labelLists = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

const scanner = new RegExp(
  [
    '(\\s+)', // 1 space
    '(#[^\\n]*)', // 2 comment
    '("(?:[^"\\\\\\n]|\\\\.)*"?|\'(?:[^\'\\\\\\n]|\\\\.)*\'?|`[^`]*`?)', // 3 string
    '((?:\\d+(?:\\.\\d+)?(?:ms|[smhdwy]))+(?![\\w.]))', // 4 duration
    '(0x[0-9a-f]+|(?:\\d[\\d_]*\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?)', // 5 number
    '([a-z_:][\\w:]*)', // 6 word
    '(=~|!~|!=|==|>=|<=|[-+*/%^=<>@,])', // 7 operator
    '([(){}[\\]:])', // 8 bracket
    '([^])', // 9 anything else
  ].join('|'),
  'giy',
);

export function lex(text: string): Token[] {
  const tokens: Token[] = [];
  const open: string[] = [];
  let list = false; // inside the parentheses of by (...)
  let last = '';
  scanner.lastIndex = 0;
  for (let m = scanner.exec(text); m; m = scanner.exec(text)) {
    const braces = open[open.length - 1] === '{';
    const t: Token = { kind: 'bad', text: m[0], at: m.index, depth: open.length, braces };
    if (m[1]) t.kind = 'space';
    else if (m[2]) t.kind = 'comment';
    else if (m[3]) t.kind = 'string';
    else if (m[4]) t.kind = 'duration';
    else if (m[5]) t.kind = 'number';
    else if (m[6]) t.kind = braces || list ? 'label' : wordKind(m[0], text.slice(scanner.lastIndex));
    else if (m[7]) t.kind = 'operator';
    else if (m[8]) {
      t.kind = 'bracket';
      if ('({['.includes(m[0])) {
        list = m[0] === '(' && labelLists.has(last);
        open.push(m[0]);
      } else if (m[0] !== ':') {
        open.pop();
        t.depth = open.length;
        list = false;
      }
    }
    if (t.kind !== 'space' && t.kind !== 'comment') last = m[0].toLowerCase();
    tokens.push(t);
  }
  return tokens;
}

function wordKind(word: string, after: string): Kind {
  const w = word.toLowerCase();
  if (keywords.has(w) && !(w === 'start' || w === 'end' ? !/^\s*\(/.test(after) : false)) return 'keyword';
  if ((functions.has(word) || aggregators.has(w)) && /^\s*(\(|by\b|without\b)/i.test(after)) return 'function';
  return 'metric';
}

/** A plain selector, whose samples can be had as they are; anything else must be computed. */
export function isSelector(query: string): boolean {
  const t = lex(query).filter((x) => x.kind !== 'space' && x.kind !== 'comment');
  return t.length > 0 && t.every((x, i) => x.braces || (i === 0 && x.kind === 'metric') || x.text === '{' || (x.text === '}' && i === t.length - 1));
}

export interface Help { args: string; text: string }

const table = (lines: string): Map<string, Help> =>
  new Map(lines.trim().split('\n').map((line) => {
    const [name, args, text] = line.split('|');
    return [name, { args, text }];
  }));

export const aggregators = table(`
sum|v|the sum over series
avg|v|the mean over series
min|v|the least over series
max|v|the greatest over series
count|v|how many series
group|v|1 for each group
stddev|v|standard deviation over series
stdvar|v|variance over series
topk|k, v|the k greatest series
bottomk|k, v|the k least series
quantile|φ, v|the φ-quantile over series, 0 ≤ φ ≤ 1
count_values|"label", v|how many series have each value
limitk|k, v|any k series (experimental)
limit_ratio|r, v|a share r of the series (experimental)`);

export const functions = table(`
rate|v[range]|per-second increase of a counter, averaged over the range; resets are seen
irate|v[range]|per-second increase between the last two samples
increase|v[range]|increase of a counter over the range
delta|v[range]|difference between the ends of the range, for gauges
idelta|v[range]|difference between the last two samples
deriv|v[range]|slope per second by linear regression
predict_linear|v[range], seconds|the value so many seconds ahead, by linear regression
histogram_quantile|φ, v|the φ-quantile of a histogram
histogram_avg|v|mean of a native histogram
histogram_count|v|number of observations of a native histogram
histogram_sum|v|sum of observations of a native histogram
histogram_fraction|low, high, v|share of observations between two values
histogram_stddev|v|standard deviation of a native histogram
histogram_stdvar|v|variance of a native histogram
avg_over_time|v[range]|mean of the samples in the range
min_over_time|v[range]|least sample in the range
max_over_time|v[range]|greatest sample in the range
sum_over_time|v[range]|sum of the samples in the range
count_over_time|v[range]|number of samples in the range
quantile_over_time|φ, v[range]|φ-quantile of the samples in the range
stddev_over_time|v[range]|standard deviation of the samples in the range
stdvar_over_time|v[range]|variance of the samples in the range
last_over_time|v[range]|the last sample in the range
present_over_time|v[range]|1 where there was a sample in the range
absent_over_time|v[range]|1 when there was no sample in the range
mad_over_time|v[range]|median absolute deviation in the range (experimental)
changes|v[range]|how often the value changed
resets|v[range]|how often a counter was reset
absent|v|1 when there is no such series
abs|v|absolute value
ceil|v|rounded up
floor|v|rounded down
round|v, to|rounded to the nearest multiple
clamp|v, min, max|kept between two bounds
clamp_min|v, min|kept above a bound
clamp_max|v, max|kept below a bound
sgn|v|the sign: -1, 0 or 1
sqrt|v|square root
exp|v|e to the power of v
ln|v|natural logarithm
log2|v|binary logarithm
log10|v|decimal logarithm
acos|v|arc cosine
acosh|v|inverse hyperbolic cosine
asin|v|arc sine
asinh|v|inverse hyperbolic sine
atan|v|arc tangent
atanh|v|inverse hyperbolic tangent
cos|v|cosine
cosh|v|hyperbolic cosine
sin|v|sine
sinh|v|hyperbolic sine
tan|v|tangent
tanh|v|hyperbolic tangent
deg|v|radians to degrees
rad|v|degrees to radians
pi||3.14159…
time||seconds since 1970 at this step
timestamp|v|seconds since 1970 of each sample
minute|v|minute of the hour, UTC
hour|v|hour of the day, UTC
day_of_month|v|day of the month, UTC
day_of_week|v|day of the week, 0 is Sunday, UTC
day_of_year|v|day of the year, UTC
days_in_month|v|28 to 31, UTC
month|v|1 to 12, UTC
year|v|year, UTC
label_replace|v, "to", "text $1", "from", "regex"|a label made from another by a regular expression
label_join|v, "to", "separator", "from", …|a label made of others
scalar|v|the only series as a number
vector|s|a number as a series without labels
sort|v|ascending by value
sort_desc|v|descending by value
sort_by_label|v, "label", …|ascending by labels (experimental)
sort_by_label_desc|v, "label", …|descending by labels (experimental)
double_exponential_smoothing|v[range], sf, tf|smoothed by level and trend (experimental)
info|v, {…}|with the labels of info metrics (experimental)`);
