// Package simulate makes deterministic, labelled API traffic: a benign
// population of people and machines, and any attack of the catalogue among it.
//
//	g, err := simulate.New(simulate.Config{
//		Seed: 7, Duration: 24 * time.Hour, Clients: 2000,
//		Attacks: []simulate.AttackSpec{{Name: "scraping", Start: 9 * time.Hour}},
//	})
//	for ev := schemas.NewEvent(); g.Next(ev); { ... }
//	labels := g.Labels()
//
// # What is promised
//
// The stream is a function of the Config alone, for one version of this package
// on one processor architecture (floating point may round differently on
// another). Every agent draws from a generator of its own, so that
//
//   - adding, removing or changing attacks leaves every benign event as it was,
//     byte for byte;
//   - adding clients leaves the events of the first ones as they were (the names
//     that attackers try and the people whom they rob are drawn from the
//     population, so theirs change);
//   - the order is by event time, then by agent, and never by chance.
//
// Labels name the client key under which the pipeline will see each hostile
// agent and the times of its first and last hostile call; they are found by
// running the attack's agents once when the Generator is made. An attacker who
// holds a valid account also leads that account's ordinary life from the start
// of the simulation, outside of the label's time as well as inside.
//
// Memory is about 0.5 KB for each client; the stream itself allocates nothing.
//
// # The worlds
//
// DefaultWorld has two APIs. "bank" puts the route template on its events: login,
// token refresh, summary, accounts, account by id, paged transactions, transfers
// (POST), payees, account verification (POST, the penny drop), statement
// downloads, cards, administration. "shop" leaves the template out, so that it
// has to be learnt from paths: catalogue, categories, search, product by id,
// reviews, recommendations, cart, checkout (POST), gift-card check (POST), orders
// by id, invoices, wishlist, administration. Anonymous visitors of the shop carry
// a session identifier. OtherWorld has the same two archetypes as "wallet" and
// "tickets" with other paths, id styles (UUID, codes), sizes, latencies and page
// graphs. A World is data; callers may bring their own.
//
// Sizes and latencies are lognormal for each route. Each API has bad spells of
// five minutes, about one a day, in which 7 % of calls fail and all take three
// times as long; otherwise 0.12 % of calls end in a 5xx or no response. Routes
// have shares of benign 304, 400, 401, 403, 404, 409, 422 and 429.
//
// # Benign classes
//
// Shares are of DefaultMix; more than nine in ten clients are people. A class's
// parameters are medians over its members, who differ by lognormal factors
// (sigma in brackets).
//
//	human    33.3 %  0.9 visits a day (1.0, at most 14), 5 pages a visit (.55 and
//	                 .7 between visits), 9 s a page (.5 and .95 between pages),
//	                 pages of 1 to 3 calls that are 90 ms apart. The bank is logged
//	                 into first, the shop when a page needs it (60 %). A login is
//	                 one unauthenticated call with the name tried; 3.5 % of visits
//	                 (.8) begin with 1 to 3 wrong passwords. 6 % of visits come from
//	                 another network, 0.4 % from a new device. Days follow the hours
//	                 of ten countries, each person up to 1.5 h early or late. One in
//	                 twelve uses both APIs. Forms (transfer, cart, checkout) are
//	                 sent after a pause: irregular POSTs.
//	mobile     18 %  An app: the token persists and is refreshed at a visit. Asks for
//	                 the summary in the background every 25 min (.6) +-18 %, rarely
//	                 at night; one visit in five leaves the app open, which then asks
//	                 every 20 s +-15 % some 15 times. 30 % of visits from another
//	                 network.
//	office     13 %  Like human by working hours; 30 to 80 people behind one address,
//	                 200 to 500 behind one in six (a campus), with three browsers
//	                 between them, behind a proxy that names the inner address in
//	                 X-Forwarded-For. One in twenty is as forgetful as below.
//	carrier    12 %  Like mobile, 60 to 500 (median 150) to an address of a carrier.
//	                 One in twenty is forgetful.
//	forgetful   3 %  Like human; 15 % of logins with a typing error and 35 % with a
//	                 forgotten password: 1 to 6 failures, after which one in four
//	                 gives up and three in ten ask for a new password (POST, not
//	                 authenticated), which comes after a minute or so.
//	traveller 2.5 %  Like human; 35 % of visits from another network, half of these
//	                 in another country, 10 % from a new device.
//	power       2 %  Like human with 10 to 50 times the visits (Pareto, alpha 1.2),
//	                 longer and faster ones.
//	vpn         2 %  Like human through the exits of VPN providers: another country
//	                 and network every day, and for one visit in five yet another.
//	                 240 exits in 246.0.0.0/8 are shared by all; two in three are
//	                 in networks of hosting providers, as attackers are.
//	devices   1.5 %  Like human with two to four devices in turn (fingerprint and user
//	                 agent), and a new one for 6 % of visits.
//	manager     1 %  Like human; for 12 % of logins a password manager sends an old
//	                 password 3 to 8 times, 1.2 s (.5) apart, then the person asks
//	                 for a new one.
//	stale     0.8 %  Like mobile; one background call in 67 finds the password changed
//	                 elsewhere: 8 to 48 logins with the saved one, after 5, 10, 20 s
//	                 and so on up to 15 min +-10 %, until the owner next logs in.
//	doubler   1.2 %  Like human; 15 to 50 % of forms are sent a second time half a
//	                 second (.9) later. Half of the second ones end in 409.
//	exporter  0.7 %  A scheduled task in a person's name: a login and 150 (.8)
//	                 downloads of documents of their own, 1.2 s (.7) apart, once
//	                 between 0 and 6 h local time; for a third on the last and the
//	                 first day of the month only, and three times as many.
//	analyst   0.7 %  Three (.6) runs a working day of 70 (.7) pages of a history one
//	                 after another, 2.5 s (.5) apart; for one in four reports over
//	                 dates, a fifth as many, 20 s apart.
//	dashboard 0.4 %  One to three reads every 5 to 10 s +-0.2 to 3 %, from 8 to 18 h of
//	                 working days or, for four in ten, around the clock.
//	qa        0.4 %  About once a working day (.5) an hour of calls 12 s (1.1) apart:
//	                 20 % wrong paths (404), 12 % wrong methods (405), 28 % odd
//	                 parameters (400 or accepted), the rest correct.
//	rotator   1.5 %  A device of a person that calls every 7 min (.5) and whose token
//	                 is good until the full hour, of one, two or four hours: all renew
//	                 within seconds (mean 1.5 s late), three in ten after a 401.
//	kiosk     0.3 %  A shared device: 40 (.5) visitors a working day, each logs in
//	                 with one of 64 accounts (by Zipf) and makes 5 calls or so; 9 %
//	                 begin with 1 to 3 failures.
//	partner   1.5 %  An application (consumer, API key). Walks 900 (.9, 100 to 8000)
//	                 objects of its own between 0 and 5 h local time, 0.45 s (.6)
//	                 apart, by adjacent ids for four in ten, and retries failures; six in ten
//	                 synchronise every 5, 15, 30 or 60 min +-0.4 to 6 %; half post a
//	                 daily batch of 45 (.8) calls 1.1 s (.6) apart; all call on
//	                 demand by working hours, every 900 s (.9).
//	walker    0.3 %  Like partner; 2000 to 8000 adjacent ids of its own one after
//	                 another, 0.25 s (.5) apart, at any hour.
//	job         2 %  A script that posts every 10, 15, 20, 30, 60 or 120 min with a
//	                 lognormal jitter of .22 to .6 and 5 to 25 % of runs left out,
//	                 for 6 to 13 hours of the day.
//	webhook   0.4 %  An application that is told of changes every 4 min (.8) by day and
//	                 then makes 4 calls or so 80 ms (.6) apart, 20 to 80 more for one
//	                 notice in twenty; one call in five is a POST.
//	heartbeat 0.5 %  A known application that makes one business POST (verification, or
//	                 cart) with the same content every 30 or 60 s exactly, seen with a
//	                 few milliseconds of delay.
//	crawler   0.4 %  Reads catalogue and products in no order, 4 s (.8) apart, some
//	                 350 (.7) at a time with hours of rest; 5 to 10 % dead links.
//	indexer   0.2 %  Like crawler, 1.2 s (.5) apart and 1500 (.7) at a time.
//	probe     0.4 %  GET of the health route every 15, 30 or 60 s exactly, seen with
//	                 a few milliseconds of delay.
//
// Where a call fails in the backend, a person makes it again up to five times;
// six in ten programs (apps, jobs, dashboards, synchronising partners, rotators)
// double their pauses and give up after eight, a quarter calls again after a
// fifteenth of its interval, one in seven after a fiftieth.
//
// Clients lists the clients, ClassOf tells the class of any benign key, and
// Allowed lists the keys that an operator would put on an allow list: indexers,
// probes and heartbeats.
//
// # What befalls everybody
//
// A Config may have such times, and Eventful draws them from the seed:
//
//	Surge      People who are known come Factor times as often.
//	Crowd      People who never came before, once each, by a triangle that leans to
//	           its beginning; 92 % of them stay anonymous where they can. They come
//	           back after days, if at all.
//	Outage     97 % of an API's calls end in 503 (55 %), 504 (33 %) or no answer. Those
//	           who repeat do so at 15 and 50 times their rate.
//	Deploy     Every second route of an API moves to the next version of its path, has
//	           twice the bytes and a new parameter. Half of the clients know at once,
//	           the rest within the Adoption; until then a third of the moved routes
//	           are gone (410, or 404 by id) and the others answer one call in
//	           eight with 404.
//	ResetWave  For a Share of the people the next login is refused once, a new password
//	           is asked for, and then it succeeds. Apps lose their tokens.
//	Launch     An API with clients of its own: people who take it up over some hours
//	           (adopter), or applications that make a few calls a day between them
//	           (sparse). NewAPI and TinyLaunch are examples.
//
// Crowds and Launches add clients after Config.Clients and leave the events of
// these as they were. With ClockSkew, one client in fifty bears times that are
// wrong by seconds; only then are events not in order of their times.
//
// # Attacks
//
// Intensity i divides all gaps and multiplies the number of calls by its square
// root. Below 1, a share of min(0.6, 0.7(1-i)) of the calls are ordinary ones
// with ordinary answers (for logins: successful ones to an own account; none for
// extreme-client and the thin stuffing). Gaps are lognormal. Figures are for
// i = 1; the first variant is the default. A user or a consumer who attacks has
// an account of its own, leads its ordinary life beside the attack, and begins
// with a login; only what is said to be done without an account is not.
//
//	credential-stuffing  single       400 logins, another name each time (60 % of
//	                                  them of the population), 1.2 s apart, 1 to 3 %
//	                                  succeed, from a hosting provider.
//	                     distributed  40 sources in 40 networks with 25 to 60 logins
//	                                  each, 60 s apart, beginning within 10 min; few
//	                                  fingerprints; 30 % claim a false forwarder.
//	                     thin         600 sources with 2 to 4 logins each, within an
//	                                  hour.
//	slow-login-attack    list         150 logins 6 min apart (sigma .8), 0.4 % succeed.
//	                     one-user     The same against one name, 0.2 %.
//	object-enumeration   sequential   A user asks for 300 objects by rising or falling
//	                                  id, 1.5 s apart; 15 to 60 % are given away,
//	                                  5 to 25 % do not exist, the rest are refused.
//	                     random       Ids drawn from the whole space; 30 to 60 % absent.
//	scraping             user         A user takes the catalogue page by page and
//	                                  product by product, 1500 calls 1 s apart (sigma
//	                                  .15), all successful.
//	                     ip           The same without any identity but an address.
//	probing              paths        250 calls for what scanners look for, 0.5 s
//	                                  apart; 404, 403, 400, 405, few 200.
//	                     fuzz         Real routes with wrong methods and parameters.
//	slow-probing         paths        100 such calls, 7 min apart (sigma .8).
//	function-probing     user         A user tries administrators' routes 60 times,
//	                                  8 s apart.
//	extreme-client       user         4000 valid calls 0.1 s apart: about 50 times the
//	                                  pace of a person inside a visit.
//	                     consumer     The same as an application.
//	interval-abuse       user         80 verification POSTs every 45 s +-10 %, 15 % of
//	                                  beats left out, 93 % successful.
//	                     consumer     The same as an application.
//	data-exfiltration    user         500 downloads of objects of the whole population,
//	                                  4 s apart, all successful.
//	data-exfiltration    boiling-frog  40 downloads a day, 20 s apart, after a login;
//	                                  2i % more from day to day, to the end.
//	account-takeover     stolen-token The token of a person of the population (one
//	                                  who comes at least daily, if there is one), used
//	                                  from another network, country and browser: 14
//	                                  calls 7 s apart (sigma .6), from the profile and
//	                                  the lists to changes, a new payee and payments.
//	                                  With probability i/2 from a hosting provider and,
//	                                  below 1, 1-i from the victim's country. The victim's own events go on as ever;
//	                                  the label is the victim's user key. Without
//	                                  people the attack brings its own victim.
//	                     cookie       The same with a cookie, and the victim's user
//	                                  agent over another TLS library.
//	                     password     One right login first, then a token of its own.
//	slow-exfiltration    user         An employee with two dozen visits a day takes, for
//	                                  24 h and in every minute in which the account is
//	                                  in use anyway, as much more as brings the
//	                                  logarithm of the minute's bytes to 2 sqrt(i)
//	                                  standard deviations above its mean. Both are
//	                                  those of the minutes before the attack, or of
//	                                  the whole simulation where these are fewer than
//	                                  30; start it after two days to have a baseline.
//	                                  It begins on a morning of theirs.
//	data-destruction     delete       250 DELETEs 1.2 s apart (.6): the own objects
//	                                  first, then those of others, of which 60 % go.
//	                     overwrite    The same by PUT or PATCH.
//	data-injection       bulk         1500 POSTs that create, 0.2 s apart (.5), 95 %
//	                                  successful.
//	                     oversize     60 POSTs 5 s apart (.6) of 30 to 100 times the
//	                                  route's size; 58 % are taken, others 413, 400.
//	code-injection       (class)      14 calls, and at most 30, 10 s apart (.9), with
//	                                  attack strings in query, path, body or a header,
//	                                  escaped as clients do; 40 % of the calls between
//	                                  are ordinary. One variant for each class of
//	                                  package injections. Two in five on an API with a
//	                                  catalogue come without an account.
//	expensive-calls      user         60 calls 20 s apart (.5) with long ranges of dates
//	                                  and deep pages: 20 to 100 times the route's time,
//	                                  up to 29 s; 1.5 to 4 times its bytes.
//	distributed-dos      shared-fingerprint  Sources in as many networks, each at 6 calls
//	                                  a minute (.3 among them, at most 11.5), for 20
//	                                  min, on the search (or, with 401, the report); they
//	                                  begin within 10 s. i is the factor of the number of
//	                                  sources: 3.5 times the API's load at 230 calls a
//	                                  client and day, but 120 i at least and 5000 at
//	                                  most; populations under some 2000 so see more
//	                                  than five times their load. Two script agents.
//	                     one-provider Three hosting networks, browsers of all kinds.
//	                     residential  Access networks, common browsers, sessions.
//	sequence-abuse       skip         30 calls 40 s apart (.9): the transfer or checkout
//	                                  without any step before, or its result.
//	                     reorder      45 calls 12 s apart (.9): the steps from the last
//	                                  to the first, 30 % of them again.
//	excessive-exposure   user         60 reads 6 s apart (.6) that ask for everything
//	                                  and get 10 to 50 times the route's bytes.
//	request-manipulation parameters   40 calls 6 s apart (.8) with parameters or fields
//	                                  that nobody asked for; half succeed, 33 % 400.
//	                     types        Values of other types in query, path or body.
//	                     verbs        Methods that the route does not have; 42 % 405.
//	                     duplicates   Parameters or fields given twice.
//	                     headers      Odd content types and proxies' headers; 30 % 415.
//	decoy-hit            user         1 or 2 calls of a decoy among ordinary ones (85 %),
//	                                  20 s apart (.8).
//	                     ip           The same without an account.
//	misconfiguration     open-route   12 people who mean no harm make 15 calls each, 2 min
//	                                  apart (.9); the list route answers them without
//	                                  credentials. The label is the API's (entity type
//	                                  "api"); none of the callers may be blocked.
//	                     plain-http   Calls over http.
//	                     verbose-errors  Errors of 14 kB (.4).
//
// Framings are not in Attacks: they are attacks that want somebody else blocked,
// with 120 calls 2 s apart (.5), all 401. Labels name the attacker's own device
// and the attack it commits, and Generator.Victims who must not be blocked.
//
//	framing-xff          ip           Logins with the address of a person in front of
//	                                  X-Forwarded-For.
//	framing-login        ip           Failed logins in a person's name.
//	framing-consumer     ip           Unauthenticated calls that claim the consumer of
//	                                  an application.
//
// # Addresses
//
// Nothing points at anybody: homes are in 240.0.0.0/5 and 2001:db8::/32, offices
// in 248.0.0.0/8, crawlers in 249.0.0.0/8, attackers in 250.0.0.0/7 and
// 252.0.0.0/7, partners in 198.18.0.0/15, carriers in 100.64.0.0/10, probes in
// 10.20.0.0/16. Autonomous system numbers are of the private range.
package simulate
