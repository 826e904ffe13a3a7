package simulate

// walletAPI is bank-like: UUID ids, paths to be learnt, slower and larger.
func walletAPI() API {
	return API{
		Name: "wallet", Version: "2024-06", Host: "wallet.example", Gateway: "apisix",
		TokenTTL: 480,
		Objects: []Objects{
			{Name: "wallet", Style: IDUUID, Base: 11, PerUser: 3},
			{Name: "receipt", Style: IDUUID, Base: 77, PerUser: 20},
			{Name: "member", Style: IDUUID, Base: 5, Count: 50_000},
		},
		Routes: []Route{
			{Role: RoleLogin, Method: "POST", Path: "/auth/sessions", OK: 201, Errors: []StatusShare{{400, .005}}, Request: LogNormal{140, .2}, Reply: LogNormal{1400, .08}, Latency: LogNormal{260_000, .4}},
			{Role: RoleRefresh, Method: "POST", Path: "/auth/tokens", Errors: []StatusShare{{401, .01}}, Request: LogNormal{700, .05}, Reply: LogNormal{1400, .05}, Latency: LogNormal{55_000, .4}},
			{Role: RoleHealth, Method: "GET", Path: "/livez", Reply: LogNormal{2, 0}, Latency: LogNormal{1200, .3}},
			{Role: RoleSummary, Method: "GET", Path: "/me", Errors: readErrors, Reply: LogNormal{2100, .2}, Latency: LogNormal{70_000, .5}},
			{Role: RoleList, Method: "GET", Path: "/wallets", Errors: readErrors, Reply: LogNormal{2900, .5}, Latency: LogNormal{80_000, .5}},
			{Role: RoleItem, Method: "GET", Path: "/wallets/{wallet}", Errors: itemErrors, Reply: LogNormal{1500, .3}, Latency: LogNormal{48_000, .5}},
			{Role: RoleHistory, Method: "GET", Path: "/wallets/{wallet}/movements", Query: "cursor={page}&count=25", Errors: itemErrors, Reply: LogNormal{9000, .6}, Latency: LogNormal{150_000, .6}},
			{Role: RoleSubmit, Method: "POST", Path: "/payments", OK: 202, Errors: writeErrors, Request: LogNormal{610, .25}, Reply: LogNormal{380, .15}, Latency: LogNormal{390_000, .5}},
			{Role: RoleParties, Method: "GET", Path: "/contacts", Errors: readErrors, Reply: LogNormal{5200, .8}, Latency: LogNormal{60_000, .4}},
			{Role: RoleAddParty, Method: "POST", Path: "/contacts", OK: 201, Errors: writeErrors, Request: LogNormal{300, .2}, Reply: LogNormal{420, .1}, Latency: LogNormal{90_000, .4}},
			{Role: RoleVerify, Method: "POST", Path: "/bank-links/check", Errors: []StatusShare{{422, .08}, {400, .01}}, Request: LogNormal{260, .15}, Reply: LogNormal{330, .1}, Latency: LogNormal{900_000, .6}},
			{Role: RoleDownload, Method: "GET", Path: "/receipts/{receipt}.pdf", Errors: itemErrors, Reply: LogNormal{88_000, .4}, Latency: LogNormal{240_000, .5}},
			{Role: RoleCards, Method: "GET", Path: "/cards", Errors: readErrors, Reply: LogNormal{1800, .4}, Latency: LogNormal{62_000, .4}},
			{Role: RoleAdminUsers, Method: "GET", Path: "/internal/members", Query: "cursor={page}", Errors: refused, Reply: LogNormal{6000, .3}, Latency: LogNormal{25_000, .4}},
			{Role: RoleAdminExport, Method: "POST", Path: "/internal/reports", Errors: refused, Request: LogNormal{200, .2}, Reply: LogNormal{200, .2}, Latency: LogNormal{25_000, .4}},
			{Role: RoleAdminGrant, Method: "PUT", Path: "/internal/members/{member}/limits", Errors: refused, Request: LogNormal{90, .2}, Reply: LogNormal{90, .2}, Latency: LogNormal{25_000, .4}},
		},
		Pages: []Page{
			{Name: "start", Auth: true, Calls: []Call{{Role: RoleSummary}, {Role: RoleList}},
				Next: []Link{{"wallet", 4}, {"pay", 2.5}, {"cards", .8}, {"contacts", 1}, {"receipts", .3}}},
			{Name: "wallet", Auth: true, Calls: []Call{{Role: RoleItem}, {Role: RoleHistory}},
				Next: []Link{{"wallet", 1.5}, {"older", 2}, {"pay", 2}, {"start", 1}}},
			{Name: "older", Auth: true, Calls: []Call{{Role: RoleHistory}},
				Next: []Link{{"older", 2}, {"wallet", 1}, {"start", 1}}},
			{Name: "contacts", Auth: true, Calls: []Call{{Role: RoleParties}},
				Next: []Link{{"pay", 3}, {"link", .5}, {"start", 1}}},
			{Name: "link", Auth: true, Calls: []Call{{Role: RoleVerify, Pause: true}, {Role: RoleAddParty, Chance: .7, Pause: true}},
				Next: []Link{{"pay", 2}, {"start", 1}}},
			{Name: "pay", Auth: true, Calls: []Call{{Role: RoleParties, Chance: 1}, {Role: RoleSubmit, Chance: .85, Pause: true}, {Role: RoleItem, Chance: .9}},
				Next: []Link{{"start", 2}, {"wallet", 1}, {"pay", .7}}},
			{Name: "receipts", Auth: true, Calls: []Call{{Role: RoleDownload, Pause: true}},
				Next: []Link{{"receipts", 1}, {"start", 2}}},
			{Name: "cards", Auth: true, Calls: []Call{{Role: RoleCards}},
				Next: []Link{{"start", 1}, {"wallet", 1}}},
		},
	}
}

var venues = []string{"north", "south", "harbour", "hall", "arena", "park", "club", "opera", "cinema", "castle"}

// ticketsAPI is shop-like: code ids, templates known, no anonymous sessions.
func ticketsAPI() API {
	return API{
		Name: "tickets", Version: "1", Host: "tickets.example", Gateway: "envoy",
		Templates: true, TokenTTL: 1800,
		Objects: []Objects{
			{Name: "event", Style: IDCode, Base: 40, Count: 6000},
			{Name: "booking", Style: IDInt, Base: 90_000_000, PerUser: 6, Scatter: true},
			{Name: "venue", Style: IDWord, Count: uint64(len(venues)), Words: venues},
			{Name: "staff", Style: IDInt, Base: 1, Count: 900},
		},
		Routes: []Route{
			{Role: RoleLogin, Method: "POST", Path: "/v3/login", Request: LogNormal{70, .2}, Reply: LogNormal{600, .1}, Latency: LogNormal{60_000, .4}},
			{Role: RoleRefresh, Method: "POST", Path: "/v3/login/refresh", Errors: []StatusShare{{401, .01}}, Request: LogNormal{300, .1}, Reply: LogNormal{600, .1}, Latency: LogNormal{15_000, .4}},
			{Role: RoleHealth, Method: "GET", Path: "/health", Reply: LogNormal{20, 0}, Latency: LogNormal{500, .3}},
			{Role: RoleSummary, Method: "GET", Path: "/v3/inbox", Errors: readErrors, Reply: LogNormal{400, .7}, Latency: LogNormal{9000, .5}},
			{Role: RoleCatalogue, Method: "GET", Path: "/v3/events", Query: "offset={page}&from={date}", Errors: publicRead, Reply: LogNormal{32_000, .3}, Latency: LogNormal{70_000, .5}},
			{Role: RoleCategory, Method: "GET", Path: "/v3/venues/{venue}/events", Errors: publicRead, Reply: LogNormal{12_000, .4}, Latency: LogNormal{50_000, .5}},
			{Role: RoleSearch, Method: "GET", Path: "/v3/find", Query: "text={words}", Errors: publicRead, Reply: LogNormal{8000, .7}, Latency: LogNormal{160_000, .6}},
			{Role: RoleProduct, Method: "GET", Path: "/v3/events/{event}", Errors: publicRead, Reply: LogNormal{5600, .4}, Latency: LogNormal{24_000, .5}},
			{Role: RoleReviews, Method: "GET", Path: "/v3/events/{event}/seats", Errors: publicRead, Reply: LogNormal{48_000, .8}, Latency: LogNormal{90_000, .6}},
			{Role: RoleBasketAdd, Method: "POST", Path: "/v3/holds", OK: 201, Errors: []StatusShare{{409, .06}, {400, .01}}, Request: LogNormal{120, .3}, Reply: LogNormal{700, .3}, Latency: LogNormal{80_000, .5}},
			{Role: RoleBasket, Method: "GET", Path: "/v3/holds", Errors: readErrors, Reply: LogNormal{700, .5}, Latency: LogNormal{14_000, .4}},
			{Role: RoleSubmit, Method: "POST", Path: "/v3/bookings", OK: 201, Errors: []StatusShare{{402, .04}, {409, .03}}, Request: LogNormal{1300, .2}, Reply: LogNormal{900, .2}, Latency: LogNormal{700_000, .5}},
			{Role: RoleVerify, Method: "POST", Path: "/v3/vouchers/check", Errors: []StatusShare{{404, .08}}, Request: LogNormal{50, .1}, Reply: LogNormal{90, .1}, Latency: LogNormal{40_000, .4}},
			{Role: RoleList, Method: "GET", Path: "/v3/bookings", Errors: readErrors, Reply: LogNormal{2000, .6}, Latency: LogNormal{30_000, .5}},
			{Role: RoleItem, Method: "GET", Path: "/v3/bookings/{booking}", Errors: itemErrors, Reply: LogNormal{1500, .3}, Latency: LogNormal{22_000, .5}},
			{Role: RoleDownload, Method: "GET", Path: "/v3/bookings/{booking}/pass", Errors: itemErrors, Reply: LogNormal{120_000, .2}, Latency: LogNormal{210_000, .4}},
			{Role: RoleAdminUsers, Method: "GET", Path: "/v3/staff", Errors: refused, Reply: LogNormal{2000, .2}, Latency: LogNormal{9000, .3}},
			{Role: RoleAdminGrant, Method: "PUT", Path: "/v3/staff/{staff}/role", Errors: refused, Request: LogNormal{30, .2}, Reply: LogNormal{60, .2}, Latency: LogNormal{9000, .3}},
		},
		Pages: []Page{
			{Name: "listing", Calls: []Call{{Role: RoleCatalogue}},
				Next: []Link{{"event", 5}, {"venue", 2}, {"find", 3}, {"listing", 2}, {"bookings", .8}}},
			{Name: "venue", Calls: []Call{{Role: RoleCategory}}, Next: []Link{{"event", 4}, {"listing", 1}, {"venue", 1}}},
			{Name: "find", Calls: []Call{{Role: RoleSearch}}, Next: []Link{{"event", 4}, {"find", 3}, {"listing", 1}}},
			{Name: "event", Calls: []Call{{Role: RoleProduct}, {Role: RoleReviews, Chance: .5}},
				Next: []Link{{"event", 2}, {"hold", 1.2}, {"listing", 2}, {"find", 1}}},
			{Name: "hold", Auth: true, Calls: []Call{{Role: RoleBasketAdd, Pause: true}, {Role: RoleBasket}},
				Next: []Link{{"book", 3}, {"event", 1}}},
			{Name: "book", Auth: true, Calls: []Call{{Role: RoleBasket}, {Role: RoleVerify, Chance: .1, Pause: true}, {Role: RoleSubmit, Chance: .8, Pause: true}, {Role: RoleItem}},
				Next: []Link{{"bookings", 2}, {"listing", 1}}},
			{Name: "bookings", Auth: true, Calls: []Call{{Role: RoleList}, {Role: RoleItem, Chance: .8, Pause: true}, {Role: RoleDownload, Chance: .4, Pause: true}},
				Next: []Link{{"listing", 2}, {"bookings", 1}}},
		},
	}
}
