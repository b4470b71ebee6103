(function process(request, response) {
    var table = String(request.queryParams.table || 'incident');
    var fields = String(request.queryParams.fields || '')
        .split(',')
        .filter(function (name) {
            return /^[a-z][a-z0-9_]*$/.test(name);
        });
    var tables = String(gs.getProperty('x_hitl_hub.tables', 'incident')).split(',');
    if (tables.indexOf(table) < 0) {
        var error = new sn_ws_err.ServiceError();
        error.setStatus(400);
        error.setMessage('Bad request');
        error.setDetail('the table is not among the property x_hitl_hub.tables');
        response.setError(error);
        return;
    }
    response.setBody(new HitlResults().check(table, fields));
})(request, response);
