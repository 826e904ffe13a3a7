package simulate

// NewAPI is a mid-sized API for a Launch: points and rewards.
func NewAPI() API {
	return API{
		Name: "loyalty", Version: "v1", Host: "loyalty.example", Gateway: "kong",
		Templates: true, TokenTTL: 1200,
		Objects: []Objects{
			{Name: "voucherId", Style: IDUUID, Base: 311, PerUser: 8},
			{Name: "rewardId", Style: IDInt, Base: 500, Count: 400},
		},
		Routes: []Route{
			{Role: RoleLogin, Method: "POST", Path: "/v1/sessions", OK: 201, Request: LogNormal{90, .12}, Reply: LogNormal{700, .06}, Latency: LogNormal{110_000, .4}},
			{Role: RoleRefresh, Method: "POST", Path: "/v1/sessions/refresh", Errors: []StatusShare{{401, .006}}, Request: LogNormal{330, .05}, Reply: LogNormal{700, .05}, Latency: LogNormal{24_000, .4}},
			{Role: RoleReset, Method: "POST", Path: "/v1/passwords", OK: 202, Request: LogNormal{70, .1}, Reply: LogNormal{60, .05}, Latency: LogNormal{90_000, .4}},
			{Role: RoleHealth, Method: "GET", Path: "/health", Reply: LogNormal{15, 0}, Latency: LogNormal{800, .3}},
			{Role: RoleSummary, Method: "GET", Path: "/v1/points", Errors: readErrors, Reply: LogNormal{500, .2}, Latency: LogNormal{20_000, .45}},
			{Role: RoleList, Method: "GET", Path: "/v1/vouchers", Errors: readErrors, Reply: LogNormal{2100, .5}, Latency: LogNormal{32_000, .45}},
			{Role: RoleItem, Method: "GET", Path: "/v1/vouchers/{voucherId}", Errors: itemErrors, Reply: LogNormal{800, .2}, Latency: LogNormal{22_000, .45}},
			{Role: RoleCatalogue, Method: "GET", Path: "/v1/rewards", Query: "page={page}", Errors: publicRead, Reply: LogNormal{14_000, .3}, Latency: LogNormal{40_000, .5}},
			{Role: RoleProduct, Method: "GET", Path: "/v1/rewards/{rewardId}", Errors: publicRead, Reply: LogNormal{2600, .3}, Latency: LogNormal{18_000, .5}},
			{Role: RoleSubmit, Method: "POST", Path: "/v1/redemptions", OK: 201, Errors: writeErrors, Request: LogNormal{150, .2}, Reply: LogNormal{420, .15}, Latency: LogNormal{240_000, .45}},
		},
		Pages: []Page{
			{Name: "points", Auth: true, Calls: []Call{{Role: RoleSummary}, {Role: RoleList, Chance: .7}},
				Next: []Link{{"rewards", 4}, {"voucher", 2}, {"points", .5}}},
			{Name: "rewards", Calls: []Call{{Role: RoleCatalogue}}, Next: []Link{{"reward", 4}, {"rewards", 2}, {"points", 1}}},
			{Name: "reward", Calls: []Call{{Role: RoleProduct}}, Next: []Link{{"reward", 2}, {"redeem", 1}, {"rewards", 2}}},
			{Name: "redeem", Auth: true, Calls: []Call{{Role: RoleSubmit, Pause: true}, {Role: RoleSummary}}, Next: []Link{{"voucher", 2}, {"points", 1}}},
			{Name: "voucher", Auth: true, Calls: []Call{{Role: RoleList}, {Role: RoleItem, Pause: true}}, Next: []Link{{"points", 2}, {"rewards", 1}}},
		},
	}
}

// TinyAPI is an API that few know of, for a Launch: deeds that a registry keeps.
func TinyAPI() API {
	return API{
		Name: "registry", Version: "1", Host: "registry.example", Gateway: "nginx",
		TokenTTL: 3600,
		Objects:  []Objects{{Name: "deed", Style: IDInt, Base: 7000, PerUser: 20}},
		Routes: []Route{
			{Role: RoleLogin, Method: "POST", Path: "/registry/login", Request: LogNormal{80, .1}, Reply: LogNormal{300, .05}, Latency: LogNormal{120_000, .4}},
			{Role: RoleRefresh, Method: "POST", Path: "/registry/refresh", Request: LogNormal{80, .1}, Reply: LogNormal{300, .05}, Latency: LogNormal{40_000, .4}},
			{Role: RoleHealth, Method: "GET", Path: "/registry/health", Reply: LogNormal{2, 0}, Latency: LogNormal{900, .3}},
			{Role: RoleSummary, Method: "GET", Path: "/registry/status", Reply: LogNormal{200, .1}, Latency: LogNormal{15_000, .4}},
			{Role: RoleList, Method: "GET", Path: "/registry/deeds", Errors: readErrors, Reply: LogNormal{3000, .6}, Latency: LogNormal{60_000, .5}},
			{Role: RoleItem, Method: "GET", Path: "/registry/deeds/{deed}", Errors: itemErrors, Reply: LogNormal{5000, .3}, Latency: LogNormal{50_000, .5}},
			{Role: RoleSubmit, Method: "POST", Path: "/registry/deeds", OK: 201, Errors: writeErrors, Request: LogNormal{2400, .5}, Reply: LogNormal{300, .1}, Latency: LogNormal{300_000, .5}},
		},
		Pages: []Page{
			{Name: "deeds", Auth: true, Calls: []Call{{Role: RoleList}, {Role: RoleItem, Pause: true}}, Next: []Link{{"deeds", 1}}},
		},
	}
}

// TinyLaunch is TinyAPI from the start, with three applications that make ten
// calls a day between them.
func TinyLaunch() Launch { return Launch{API: TinyAPI(), Clients: 3, CallsPerDay: 10} }
